"""The package format of a model version, its digest and verification."""
