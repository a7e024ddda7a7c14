"""What the registry promises, as pure decisions: immutable versions and the routes that serve them."""
