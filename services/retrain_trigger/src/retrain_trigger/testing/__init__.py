"""For tests: what upstream says, and a trigger that hears it, in memory or as a process."""
