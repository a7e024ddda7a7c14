"""The registry of model versions and the routes that serve them."""
