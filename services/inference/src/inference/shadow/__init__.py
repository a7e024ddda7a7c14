"""The role that scores what was served again, with versions that answer nobody."""
