"""Fixtures shared by every kind of test; the real stack's live beside local_stack's tests."""
