"""`tidemark demo`: runs the demo that a project brings, in the foreground or kept running behind.

A project's demo is a module `<project>.demo` with a coroutine function `live`, see `contract.Live`.
"""

from tidemark_cli.demo.contract import DemoOutcome, DemoRequest, Hold

__all__ = ["DemoOutcome", "DemoRequest", "Hold"]
