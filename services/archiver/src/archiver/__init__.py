"""Keeps every topic worth keeping in Delta Lake tables."""
