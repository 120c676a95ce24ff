"""The stand-ins for modules that are mocked (`mocked`) or not installed (`externs`)."""
