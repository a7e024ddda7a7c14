"""The example in Go: it builds, a server understands it, and its code is that of the contracts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tidemark_client.testing import StubServer

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples/clients/go"

pytestmark = pytest.mark.timeout(600)  # a machine that has built no Go yet builds gRPC first


def test_the_example_in_go_scores_and_reports(tmp_path: Path, go_tools: dict[str, str]) -> None:
    program = tmp_path / "client"
    built = subprocess.run(
        ["go", "build", "-o", program, "."],
        cwd=EXAMPLE,
        env=go_tools,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    with StubServer() as stub:
        stub.answer("flight-delay", 0.25)
        told = subprocess.run(
            [program, "-scoring", stub.address, "-feature", stub.address, "-origin", "EWR"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert told.returncode == 0, told.stderr
    (request,), (outcome,) = stub.requests, stub.outcomes
    assert told.stdout.splitlines() == [
        f"0.250 from stub (champion), prediction {request.prediction_id}",
        "reported: arrived_late = 1",
    ]
    assert request.entities["origin"] == "EWR"
    assert request.context["distance_miles"] == 2475
    assert (outcome.label, outcome.request_key, outcome.value) == (
        "arrived_late",
        request.prediction_id,
        1.0,
    )


def test_the_examples_code_is_that_of_the_contracts(tmp_path: Path, go_tools: dict[str, str]) -> None:
    example = tmp_path / "examples/clients/go"
    shutil.copytree(EXAMPLE, example)
    (tmp_path / "proto").symlink_to(ROOT / "proto")
    path = f"{Path(sys.executable).parent}:{go_tools['PATH']}"
    subprocess.run(["bash", example / "generate.sh"], check=True, env={**go_tools, "PATH": path})
    made, kept = _code(example), _code(EXAMPLE)
    assert made.keys() == kept.keys()
    differing = [name for name in made if made[name] != kept[name]]
    assert not differing, f"run examples/clients/go/generate.sh: {differing} are of other contracts"


def _code(example: Path) -> dict[str, list[str]]:
    """The generated files' lines, but for those that name the generators' versions."""
    return {
        str(file.relative_to(example)): [
            line for line in file.read_text(encoding="utf-8").splitlines() if "protoc" not in line
        ]
        for file in (example / "tidemark").rglob("*.go")
    }
