"""The `tidemark` command line."""
