"""The role that scores requests that come as events, each exactly once."""
