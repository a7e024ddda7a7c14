"""Worked examples: projects as a user of Tidemark would write them."""
