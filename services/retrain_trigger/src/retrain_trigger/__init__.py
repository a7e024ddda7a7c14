"""Decides when retraining is worth asking a human for, and never does it blindly."""
