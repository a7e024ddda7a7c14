"""Topics, CloudEvents codec, producer and consumer runner."""
