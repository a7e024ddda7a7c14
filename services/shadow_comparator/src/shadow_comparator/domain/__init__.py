"""Joining and comparing, decided: pure, synchronous, without clock or IO."""
