"""Joins predictions with each other and with the truth, and says which variant is better."""
