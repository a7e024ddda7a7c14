"""kill -9 of `tidemark forget`, later each time: run again until it ends, nothing of the subject is left."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from deltalake import DeltaTable
from local_stack import LocalStack
from privacy_kit import AT_US, SECOND_US, TOPIC, Deployment, deployed, order

pytestmark = pytest.mark.stack

ANNA, BEN = "anna-who-leaves", "ben-who-stays"
ORDERS = 60
EVENTS = f"sources/{TOPIC}"


@pytest.fixture
async def deployment(tmp_path: Path) -> AsyncIterator[Deployment]:
    async with LocalStack(tmp_path / "stack") as stack, deployed(stack, tmp_path) as found:
        yield found


async def begin(deployment: Deployment) -> asyncio.subprocess.Process:
    """Start `tidemark forget`; return it when it says that it carries the erasure out, or has ended."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidemark_cli", "forget", "customer", ANNA, "--as", "ada", "--json"),
        env=dict(deployment.cli.environment),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def test_whenever_it_is_killed_it_ends_the_same(deployment: Deployment) -> None:
    await deployment.publish([order(n, ANNA if n % 3 == 0 else BEN) for n in range(ORDERS)])
    await deployment.predict([ANNA, BEN], AT_US + 100 * SECOND_US)
    await deployment.until_kept(EVENTS, ORDERS)
    await deployment.until_kept("predictions_made", 2)
    await deployment.until_kept("outcomes_observed", ORDERS)
    row_of_ben = await deployment.until_stored(deployment.row_key(BEN))
    asked = await deployment.cli.read("forget", "customer", ANNA, "--as", "ada")
    await deployment.cli.show("approve", asked["approval_id"], "--as", "bo")

    # Killed as soon as it has changed the first table, then the next, and so on.
    kills = 0
    for path in ("outcomes_observed", "predictions_made", EVENTS):
        table = DeltaTable(deployment.lake / path)
        before = table.version()
        running = await begin(deployment)
        while running.returncode is None and table.version() == before:
            table.update_incremental()
            await asyncio.sleep(0)
        if running.returncode is None:
            running.kill()
            kills += 1
        await running.wait()
    assert kills, "it was never killed"

    closed = await deployment.carry_out("customer", ANNA)
    assert closed["state"] == "completed"
    assert deployment.lake_files_with(ANNA) == []
    assert await deployment.redis_keys_with(ANNA) == []
    assert deployment.column(EVENTS, "customer") == [BEN] * (ORDERS - ORDERS // 3)
    assert len(deployment.column("outcomes_observed", "_offset")) == ORDERS - ORDERS // 3
    assert await deployment.until_stored(deployment.row_key(BEN)) == row_of_ben
    completed = [one for one in await deployment.cli.read("audit", "list") if "completed" in one["action"]]
    assert len(completed) == 1
