"""Search sentences by meaning."""
