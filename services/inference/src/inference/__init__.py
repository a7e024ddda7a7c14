"""Scores, fast and always."""
