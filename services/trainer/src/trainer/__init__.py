"""Dataset snapshot, point-in-time set, train, evaluate, package, register."""
