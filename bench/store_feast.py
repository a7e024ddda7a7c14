"""Feast on the same Valkey, cores and run: reading sixteen features over four views, and writing.

Feast runs in its own environment, which `make bench-peers` makes; without it there are no such rows, and a
word that says so. Its clients run where ours ran (`store_limits`): pinned to a core, with the server on
another or on the same one. Feast's views hold four ready-made floats an entity. Ours computes windows of the
departures as it writes, with a compare-and-set a row: four rows an event of `store.update`.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_stack import LocalStack

from bench.store_events import Row, row
from bench.store_limits import MANY, OTHER, SAME, placed

if TYPE_CHECKING:
    from collections.abc import Sequence

PEER = Path(__file__).parent / "peers" / "feast"
PYTHON = PEER / ".venv" / "bin" / "python"
LEAST = {("one", OTHER): 2.2, ("one", SAME): 5.0, ("many", OTHER): 20.0, ("many", SAME): 40.0}
"""How many times as fast a read has to be as Feast's, by whichever of its two calls is faster."""
ROWS_AN_EVENT = 4


def feast_is_here() -> bool:
    """Say whether Feast's environment has been made."""
    is_here = (PEER / ".venv" / "versions.txt").exists()
    if not is_here:
        print("no figures of Feast: `make bench-peers` makes its environment first")
    return is_here


def feast(*arguments: str) -> dict[str, Any]:
    """Run the peer, where this process may run, and return what it measured."""
    done = subprocess.run([PYTHON, PEER / "peer.py", *arguments], check=True, stdout=subprocess.PIPE)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def measure_feast_reading(redis_url: str, ours: Sequence[Row]) -> list[Row]:
    """Set what `measure_limits` found against Feast's reads of as many features on the same server."""
    if not feast_is_here():
        return []
    address = redis_url.removeprefix("redis://").split("/")[0]
    found = {one["name"]: one["value"] for one in ours}
    rows = []
    for placement, name in ((OTHER, "other_core"), (SAME, "same_core")):
        with (
            placed(int(address.split(":")[1]), same=placement == SAME),
            tempfile.TemporaryDirectory() as folder,
        ):
            told = feast("online", address, folder)
        for size, label in (("one", "read_one"), ("many", f"read_{MANY}")):
            value, least = found[f"store.{label}.{name}"], LEAST[size, placement]
            calls = {"online_read": f"read_{size}_us", "get_online_features": f"get_{size}_us"}
            call = min(calls, key=lambda one: told[calls[one]])
            against = (f"Feast's {call}, {placement}", told[calls[call]])
            must = (f"ratio <= 1 / {least:g}", value <= against[1] / least)
            rows.append(row(f"store.{label}_feast.{name}", value, "us", against, must))
    return rows


async def measure_feast_writing(ours: Sequence[Row]) -> list[Row]:
    """Set what `measure_updating` found against Feast's writes into a Valkey of their own."""
    if not feast_is_here():
        return []
    with tempfile.TemporaryDirectory() as folder:
        async with LocalStack(Path(folder), kafka=None) as stack:
            address = stack.redis_url.removeprefix("redis://").split("/")[0]
            told = await asyncio.to_thread(feast, "online", address, folder)
    (events,) = [one["value"] for one in ours if one["name"] == "store.update"]
    against = ("Feast's online_write_batch, ready-made rows", told["rows_a_second"])
    return [row("store.update_rows", ROWS_AN_EVENT * events, "rows/s, windows computed", against)]
