"""A project whose demo takes a second."""
