"""When retraining is worth asking for: pure."""
