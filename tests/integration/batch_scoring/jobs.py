"""Jobs in processes of their own, for tests that kill and measure them."""

from __future__ import annotations

import multiprocessing
import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from batch_scoring import Choices, DeltaOutput, Plan, open_input, run
from model_package.store import read_folder
from model_package.testing import facts, write_logistic_package

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

WIDTH = 16
# Each process is forked from one that has imported all and run nothing.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Scoring:
    """Given vectors in a folder, and what scores them."""

    folder: Path

    def write_package(self) -> None:
        """Makes the version."""
        known = facts("till-return", [f"f{at}" for at in range(WIDTH)], contract_hash="0" * 64)
        write_logistic_package(self.folder / "package", facts=known, weights=[0.1] * WIDTH)

    def write_rows(self, name: str, rows: int) -> None:
        """Writes an input of so many rows, all in one row group."""
        rng = np.random.default_rng(5)
        schema = pa.schema([(f"f{at}", pa.float32()) for at in range(WIDTH)])
        columns = [pa.array(rng.random(rows, np.float32)) for _ in range(WIDTH)]
        file = self.folder / f"{name}.parquet"
        pq.write_table(pa.table(columns, schema=schema), file, row_group_size=rows, use_dictionary=False)

    def score(self, name: str, output: str, told: Connection, batch_rows: int, commit_bytes: int) -> None:
        """Runs the job; tells how many rows it found done, how many are scored, and -KiB at its peak."""
        target = DeltaOutput(str(self.folder / output))
        rows = open_input(str(self.folder / f"{name}.parquet"))
        package = read_folder(self.folder / "package")
        plan = Plan.of_given(rows, package, target, Choices(batch_rows=batch_rows))
        told.send(plan.done)
        run(plan, target, watch=told.send, commit_bytes=commit_bytes)
        told.send(-resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        told.close()

    def killed_at(self, rows: int, name: str, output: str, batch_rows: int, commit_bytes: int) -> int:
        """Starts the job, kills it once so many rows are scored, and returns how many it found done.

        Returns:
            -KiB at its peak where the job came to its end.
        """
        here, there = CONTEXT.Pipe(duplex=False)
        job = CONTEXT.Process(target=self.score, args=(name, output, there, batch_rows, commit_bytes))
        job.start()
        there.close()
        found = last = here.recv()
        try:
            while last >= 0 and last < rows:
                last = here.recv()
        finally:
            job.kill() if last >= 0 else job.join()
            job.join()
            job.close()
            here.close()
        return int(found if last >= 0 else last)
