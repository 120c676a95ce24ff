"""What takes the place of modules that are mocked (`mocked`) or not installed (`externs`)."""
