"""Validates upstream events and keeps windowed features fresh."""
