"""`python -m tidemark_cli` is `tidemark`."""

from tidemark_cli.app import app

app()
