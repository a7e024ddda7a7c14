"""A version and inputs for commands in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from model_package.testing import facts, write_logistic_package

MODEL = "till-return"
WIDTH = 16
MEASURED = (
    "import resource, sys\n"
    "from tidemark_cli.app import app\n"
    "try:\n"
    "    app()\n"
    "finally:\n"
    "    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
    "    print('peak_kib', peak, file=sys.stderr)\n"
)


@dataclass(frozen=True)
class Scoring:
    """`tidemark score-batch` over given vectors, as a process."""

    folder: Path

    def write(self, name: str, rows: int) -> Path:
        """Writes an input of so many rows, all in one row group."""
        file = self.folder / f"{name}.parquet"
        rng = np.random.default_rng(5)
        schema = pa.schema([(f"f{at}", pa.float32()) for at in range(WIDTH)])
        columns = [pa.array(rng.random(rows, np.float32)) for _ in range(WIDTH)]
        pq.write_table(pa.table(columns, schema=schema), file, row_group_size=rows, use_dictionary=False)
        return file

    def start(self, rows: Path, output: str, *options: str, **how: Any) -> subprocess.CompletedProcess[str]:
        """Runs the command to its end, or kills it when `timeout` seconds have passed."""
        arguments = ["--input", str(rows), "--output", str(self.folder / output), "--features", "given"]
        arguments += ["--package", str(self.folder / "package"), "--json", *options]
        return subprocess.run(
            [sys.executable, "-c", MEASURED, "score-batch", MODEL, *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
            **how,
        )

    def report(self, rows: Path, output: str, *options: str) -> dict[str, Any]:
        """Runs it and returns what it tells, with the most memory it had as `peak_kib`."""
        done = self.start(rows, output, *options, timeout=120)
        return {**json.loads(done.stdout), "peak_kib": int(done.stderr.split()[-1])}


@pytest.fixture
def scoring(tmp_path: Path) -> Scoring:
    """The command with a package."""
    known = facts(MODEL, [f"f{at}" for at in range(WIDTH)], contract_hash="0" * 64)
    write_logistic_package(tmp_path / "package", facts=known, weights=[0.1] * WIDTH)
    return Scoring(tmp_path)
