"""A careless upstream, and the platform it is careless with."""
