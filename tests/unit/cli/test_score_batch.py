"""`tidemark score-batch`: what people and machines are told, and what is refused in one line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from model_package.store import read_folder
from model_package.testing import facts, write_logistic_package

if TYPE_CHECKING:
    from pathlib import Path

    from tidemark_cli.testing import Cli

ROWS = 50


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """What a command needs that scores given vectors with a package's folder."""
    known = facts("late", ["f0", "f1"], contract_hash="0" * 64)
    write_logistic_package(tmp_path / "package", facts=known, weights=[0.5, -0.5])
    columns = {name: np.arange(ROWS, dtype=np.float32) for name in ("f0", "f1", "who")}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    options = {"--input": "rows.parquet", "--output": "scores", "--package": "package"}
    given = [word for name, file in options.items() for word in (name, str(tmp_path / file))]
    return ["score-batch", "late", *given, "--features", "given"]


async def test_it_scores_and_says_what_of_with_lineage(cli: Cli, asked: list[str], tmp_path: Path) -> None:
    version = read_folder(tmp_path / "package").version
    result = await cli.run(*asked, "--keep", "who", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert {name: report[name] for name in ("model", "version", "rows", "rows_scored")} == {
        "model": "late",
        "version": version,
        "rows": ROWS,
        "rows_scored": ROWS,
    }
    assert report["lineage"]["job"]["name"] == "score-batch.late"
    assert "who" in report["output_columns"]
    assert DeltaTable(tmp_path / "scores").to_pyarrow_table().num_rows == ROWS
    again = json.loads((await cli.run(*asked, "--keep", "who", "--json")).stdout)
    assert (again["rows_done_before"], again["rows_scored"]) == (ROWS, 0)


async def test_a_dry_run_tells_and_writes_nothing(cli: Cli, asked: list[str], tmp_path: Path) -> None:
    result = await cli.run(*asked, "--dry-run")
    assert result.exit_code == 0, result.output
    told = " ".join(result.stdout.split())
    assert "rows 50" in told
    assert "features 2: f0, f1" in told
    assert not (tmp_path / "scores").exists()


async def test_another_job_on_the_same_output_is_refused(cli: Cli, asked: list[str]) -> None:
    assert (await cli.run(*asked)).exit_code == 0
    result = await cli.run(*asked, "--vectors")
    assert result.exit_code == 1
    assert "OtherOutput: the output was made by another job: it has vectors false, not true" in " ".join(
        result.stderr.split()
    )


@pytest.mark.parametrize(
    ("options", "exit_code", "says"),
    [
        (["--column", "f0"], 2, "--column f0 is no WHAT=COLUMN, such as entity.origin=ORIGIN"),
        (
            ["--column", "feature.f9=f0"],
            1,
            "UnknownColumn: --column feature.f9=...: late reads no such thing",
        ),
        (["--version", "v1"], 2, "--version names a registered version and --package a folder: give one"),
        (["--input-version", "3"], 1, "leave --input-version out"),
        (["--features", "lake"], 2, "no project was named"),
    ],
)
async def test_what_makes_no_sense_is_one_line(
    cli: Cli, asked: list[str], options: list[str], exit_code: int, says: str
) -> None:
    result = await cli.run(*asked, *options)
    assert result.exit_code == exit_code, result.output
    assert says in " ".join(result.stderr.split())
    assert result.stdout == ""


async def test_a_model_or_version_that_nobody_registered_is_said(
    cli: Cli, asked: list[str], tmp_path: Path
) -> None:
    at = asked.index("--package")
    unnamed = [*asked[:at], *asked[at + 2 :]]
    for more in ([], ["--version", "nobody-0123456789ab"]):
        result = await cli.run(*unnamed, *more)
        assert result.exit_code == 1, result.output
        assert "`tidemark models versions late` lists what is registered" in " ".join(result.stderr.split())
    other = [*asked]
    other[1] = "early"
    result = await cli.run(*other)
    assert result.exit_code == 2
    assert "is of model 'late', not of 'early'" in " ".join(result.stderr.split())
    assert not (tmp_path / "scores").exists()
