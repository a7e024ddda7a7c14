"""The role that explains: off the scoring path, in a process of its own."""
