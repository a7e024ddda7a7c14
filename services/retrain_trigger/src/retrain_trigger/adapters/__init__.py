"""The trigger's ways to the world outside."""
