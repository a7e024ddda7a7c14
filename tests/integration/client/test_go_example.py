"""The example in Go, where a Go toolchain is there: it builds, and a server understands it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tidemark_client.testing import StubServer

EXAMPLE = Path(__file__).parents[3] / "examples/clients/go"
GO = shutil.which("go")

if GO is not None:

    def test_the_example_in_go_scores_and_reports(tmp_path: Path) -> None:
        program = tmp_path / "client"
        built = subprocess.run(
            [str(GO), "build", "-o", program, "."], cwd=EXAMPLE, capture_output=True, text=True, check=False
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
