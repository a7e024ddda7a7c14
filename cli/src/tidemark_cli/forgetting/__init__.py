"""Erasing a subject: where it is named, and the steps."""
