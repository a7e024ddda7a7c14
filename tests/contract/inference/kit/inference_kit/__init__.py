"""Data planes to put under test, and what they are given."""
