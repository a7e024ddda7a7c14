"""What moved and whether it matters: pure."""
