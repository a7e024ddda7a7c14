"""`tidemark dataset` as its users start it, on a lake of the archiver's."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT_FOLDER = Path(__file__).parents[2] / "unit" / "trainer"
BUILD = ("build", "shop-purchase", "--until", "2013-01-05T00:00:00Z")

Run = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    async def start(*arguments: str) -> tuple[int, Any]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tidemark_cli", "dataset", *arguments, "--json"),
            env={
                "PYTHONPATH": str(PROJECT_FOLDER),
                "TIDEMARK_PROJECT": "shop_project",
                "LAKE_URI": str(tmp_path / "lake"),
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, json.loads(out) if out else err.decode()

    return start


async def test_a_training_set_is_built_kept_found_again_and_compared(
    shop: Any, archive: Callable[..., None], run: Run
) -> None:
    facts = shop.world(300)
    archive({topic: told[:200] for topic, told in facts.items()})
    _, first = await run(*BUILD)
    # Everything else is within the period too, and became known to the lake later.
    archive({topic: told[200:] for topic, told in facts.items()})
    _, second = await run(*BUILD)
    assert first["rows"] < second["rows"]

    status, verified = await run("verify", first["name"])
    assert (status, verified["verified"], verified["rows"]) == (0, True, first["rows"])
    assert (await run(*BUILD, "--like", first["name"]))[1] == first
    _, listed = await run("list")
    assert {one["name"]: one for one in listed} == {one["name"]: one for one in (first, second)}
    assert (await run("show", second["name"]))[1] == second
    _, difference = await run("diff", first["name"], second["name"])
    assert difference["rows_kept"] == first["rows"]
    assert difference["rows_added"] == second["rows"] - first["rows"]


async def test_what_cannot_be_done_is_said_in_a_line(
    archive: Callable[..., None], shop: Any, run: Run
) -> None:
    status, told = await run(*BUILD)
    assert (status, "EmptyLake" in told, "check LAKE_URI" in told) == (1, True, True)
    archive(shop.world(100))
    for arguments, code, reason in (
        (("show", "nothing"), 1, "no training set is called 'nothing'"),
        (("build", "shop", "--until", "2013-01-05"), 1, "it has shop-purchase"),
        (("build", "shop-purchase", "--until", "soon"), 2, "no ISO 8601 time"),
    ):
        status, told = await run(*arguments)
        assert status == code
        assert reason in " ".join(told.split())
