"""Says what moved: inputs, scores, labels, quality; and keeps each alert's one state."""
