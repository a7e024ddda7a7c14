"""Routes and their versions: read, loaded, warm, followed."""
