"""Erased subjects, the key that hashes are made with, and taking rows out of the stores."""
