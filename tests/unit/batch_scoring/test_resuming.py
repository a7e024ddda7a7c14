"""A job that was cut off goes on where it was: each row once, under the same id."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batch_scoring import (
    Choices,
    DeltaOutput,
    Job,
    MemoryOutput,
    OtherOutput,
    OutputInUse,
    Plan,
    UnwritableOutput,
    open_input,
    run,
)
from deltalake import DeltaTable, write_deltalake

from tests.unit.batch_scoring.conftest import MakePackage, vectors

if TYPE_CHECKING:
    from pathlib import Path

    from model_package import Package

ROWS, BATCH = 250, 40
CHOICES = Choices(batch_rows=BATCH)


class CutOff(Exception):
    """The process ends here."""


class FailingOutput(MemoryOutput):
    """Fails at its n-th append, before or after the rows are in."""

    def __init__(self, fails_at: int, *, after: bool) -> None:
        super().__init__()
        self.fails_at: int | None = fails_at
        self._after = after

    def append(self, rows: pa.Table, reached: int) -> None:
        fails = self.fails_at is not None and len(self.tables) + 1 == self.fails_at
        if fails and not self._after:
            raise CutOff
        super().append(rows, reached)
        if fails:
            raise CutOff


def plan_to(output: DeltaOutput | MemoryOutput, folder: Path, package: Package, rows: int = ROWS) -> Plan:
    pq.write_table(vectors(rows), folder / "rows.parquet", row_group_size=33)
    return Plan.of_given(open_input(str(folder / "rows.parquet")), package, output, CHOICES)


@pytest.mark.parametrize("fails_at", [1, 3, 7])
@pytest.mark.parametrize("after", [False, True])
def test_cut_off_at_any_commit_it_ends_as_if_nothing_had_been(
    tmp_path: Path,
    make_package: MakePackage,
    fails_at: int,
    after: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    package, undisturbed = make_package(), MemoryOutput()
    run(plan_to(undisturbed, tmp_path, package), undisturbed, commit_bytes=0)
    output = FailingOutput(fails_at, after=after)
    with pytest.raises(CutOff):
        run(plan_to(output, tmp_path, package), output, commit_bytes=0)
    output.fails_at = None
    plan = plan_to(output, tmp_path, package)
    assert plan.done == min(ROWS, BATCH * (fails_at - (not after)))
    told: list[int] = []
    assert run(plan, output, watch=told.append, commit_bytes=1) == ROWS - plan.done
    assert told == [*range(plan.done + BATCH, ROWS, BATCH), *([ROWS] if plan.done < ROWS else [])]
    assert pa.concat_tables(output.tables) == pa.concat_tables(undisturbed.tables)


def test_a_delta_table_says_how_far_it_is_and_who_made_it(tmp_path: Path, make_package: MakePackage) -> None:
    package, output = make_package(), DeltaOutput(str(tmp_path / "scores"))
    run(plan_to(output, tmp_path, package), output, commit_bytes=0)
    again = DeltaOutput(str(tmp_path / "scores"))
    plan = plan_to(again, tmp_path, package)
    assert plan.done == ROWS
    assert run(plan, again) == 0
    table = DeltaTable(tmp_path / "scores")
    assert Job.of_json(table.metadata().description) == plan.job
    found = table.to_pyarrow_table().sort_by("prediction_id")
    memory = MemoryOutput()
    run(plan_to(memory, tmp_path, package), memory)
    assert found.to_pylist() == pa.concat_tables(memory.tables).to_pylist()


def test_another_input_or_version_is_refused_by_name(tmp_path: Path, make_package: MakePackage) -> None:
    output = DeltaOutput(str(tmp_path / "scores"))
    run(plan_to(output, tmp_path, make_package()), output)
    with pytest.raises(
        OtherOutput, match=r'it has digest "[0-9a-f]{64}", not "[0-9a-f]{64}"; version|version'
    ):
        plan_to(DeltaOutput(output.uri), tmp_path, make_package(weight=0.25, name="other"))
    with pytest.raises(OtherOutput, match=r'it has input \{.*"rows": 250\}, not \{.*"rows": 251\}'):
        plan_to(DeltaOutput(output.uri), tmp_path, make_package(name="same"), rows=ROWS + 1)


def test_what_no_job_made_is_left_alone(tmp_path: Path, make_package: MakePackage) -> None:
    write_deltalake(str(tmp_path / "table"), pa.table({"n": [1]}))
    with pytest.raises(OtherOutput, match="did not make: name another"):
        plan_to(DeltaOutput(str(tmp_path / "table")), tmp_path, make_package())
    with pytest.raises(OtherOutput, match="somebody else"):
        plan_to(DeltaOutput(str(tmp_path)), tmp_path, make_package(name="second"))


def test_of_two_runs_at_once_one_is_told(tmp_path: Path, make_package: MakePackage) -> None:
    package, uri = make_package(), str(tmp_path / "scores")
    one, two = DeltaOutput(uri), DeltaOutput(uri)
    first = plan_to(one, tmp_path, package)
    second = plan_to(two, tmp_path, package)
    one.begin(first.job, first.schema)
    with pytest.raises(OutputInUse, match="another run writes to it"):
        two.begin(second.job, second.schema)
    behind = DeltaOutput(uri)
    late = plan_to(behind, tmp_path, package)
    run(first, one)
    with pytest.raises(OutputInUse, match="run this again"):
        behind.append(late.schema.empty_table(), BATCH)
    assert DeltaTable(uri).to_pyarrow_table().num_rows == ROWS


def test_an_output_that_refuses_is_named(tmp_path: Path, make_package: MakePackage) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises((UnwritableOutput, OtherOutput), match="file"):
        plan_to(DeltaOutput(str(tmp_path / "file")), tmp_path, make_package())


def test_a_disk_that_takes_no_more_is_said_so_and_the_job_goes_on_when_it_does(
    tmp_path: Path, make_package: MakePackage
) -> None:
    package, output = make_package(), DeltaOutput(str(tmp_path / "scores"))
    plan = plan_to(output, tmp_path, package)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, hard))
    try:
        with pytest.raises(UnwritableOutput, match="File too large"):
            run(plan, output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again = DeltaOutput(str(tmp_path / "scores"))
    run(plan_to(again, tmp_path, package), again)
    assert DeltaTable(again.uri).to_pyarrow_table().num_rows == ROWS


def test_a_run_that_died_while_it_made_the_table_is_no_hindrance(
    tmp_path: Path, make_package: MakePackage
) -> None:
    (tmp_path / "scores" / "_delta_log").mkdir(parents=True)
    output = DeltaOutput(str(tmp_path / "scores"))
    assert run(plan_to(output, tmp_path, make_package()), output) == ROWS
