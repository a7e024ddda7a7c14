"""For tests: running commands as a user would, in the test's own process."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner, Result

from tidemark_cli.app import app


@dataclass(frozen=True)
class Cli:
    """Runs commands against the servers that an environment names."""

    environment: Mapping[str, str]

    async def run(self, *arguments: str, answer: str | None = None) -> Result:
        """Runs a command to its end, in a thread."""
        runner = CliRunner(env=self.environment)
        return await asyncio.to_thread(lambda: runner.invoke(app, arguments, input=answer))

    async def read(self, *arguments: str) -> Any:
        """Runs a command with --json and returns what it printed."""
        return json.loads(await self._print(*arguments, "--json"))

    async def lines(self, *arguments: str) -> list[Any]:
        """Runs a command that prints JSON lines and returns them."""
        return [json.loads(line) for line in (await self._print(*arguments, "--json")).splitlines()]

    async def show(self, *arguments: str) -> str:
        """Runs a command and returns what a person sees, without the layout."""
        return " ".join((await self._print(*arguments)).split())

    async def refused(self, *arguments: str, exit_code: int = 1) -> str:
        """Runs a command that must fail and print no result; returns what it complains of."""
        result = await self.run(*arguments)
        assert (result.exit_code, result.stdout) == (exit_code, ""), result.output
        return " ".join(result.stderr.split())

    async def _print(self, *arguments: str) -> str:
        result = await self.run(*arguments)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return str(result.stdout)
