"""Erased subjects: who they are, whose events count for nothing, and their feature rows made again."""
