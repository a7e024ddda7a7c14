"""Somebody is erased from tables that `tidemark score-batch` made, finished or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batch_scoring import Choices, DeltaOutput, Job, Plan, open_input, run
from deltalake import DeltaTable, write_deltalake
from model_package.store import read_folder
from model_package.testing import facts, write_logistic_package
from tidemark_cli.forgetting.scores import GONE, NAMELESS, ScoreTable, open_score_tables
from tidemark_cli.forgetting.tables import Subject
from training_sets.erasing import erase_rows

if TYPE_CHECKING:
    from pathlib import Path

ROWS, BATCH = 40, 10
ANNA, HASHED = "anna-who-leaves", "0123abcd"
NOW_MS = 1_800_000_000_000
SECOND_US = 1_000_000
ASKED_US = 1_700_000_000 * SECOND_US
NOBODY: frozenset[str] = frozenset()

Score = Callable[..., str]


class KilledError(Exception):
    """A run ends here."""


@pytest.fixture
def score(tmp_path: Path) -> Score:
    """Scores forty requests, every fourth about Anna, into a table of its own, and returns its URI."""
    write_logistic_package(
        tmp_path / "package", facts=facts("late", ["f0"], contract_hash="0" * 64), weights=[0.5]
    )
    rows = {
        "f0": np.arange(ROWS, dtype=np.float32),
        "customer": [ANNA if row % 4 == 0 else f"c{row}" for row in range(ROWS)],
        "request_key": [f"k{row}" for row in range(ROWS)],
        "request_time": pa.array(ASKED_US + np.arange(ROWS) * SECOND_US, pa.timestamp("us", tz="UTC")),
    }

    def written(name: str, *, keep: tuple[str, ...] = ("customer",), stop_at: int = ROWS + 1) -> str:
        held = {
            column: values for column, values in rows.items() if name != "keyless" or column != "request_key"
        }
        pq.write_table(pa.table(held), tmp_path / f"{name}.parquet")
        output = DeltaOutput(str(tmp_path / "scores" / name))
        plan = Plan.of_given(
            open_input(str(tmp_path / f"{name}.parquet")),
            read_folder(tmp_path / "package"),
            output,
            Choices(keep=keep, batch_rows=BATCH),
        )

        def watch(scored: int) -> None:
            if scored >= stop_at:
                raise KilledError

        try:
            run(plan, output, watch=watch, commit_bytes=0)
        except KilledError:
            assert stop_at <= ROWS
        return output.uri

    return written


def opened(uri: str) -> ScoreTable:
    [one], unreached = open_score_tables([uri, uri], "customer")
    assert unreached == {}
    return one


def erase(one: ScoreTable, until_us: int, requests: frozenset[str] = NOBODY) -> int:
    place = one.place(Subject("customer", HASHED, until_us), frozenset({ANNA, HASHED}), requests)
    return erase_rows(one.table, place.rows, why="e1", now_ms=NOW_MS, spare_ns=place.spare_ns).rows


def held(uri: str, column: str) -> list[str]:
    return list(DeltaTable(uri).to_pyarrow_table(columns=[column])[column].to_pylist())


def files_with(uri: str, folder: Path, text: str) -> list[str]:
    files = [one for one in folder.rglob("*") if one.is_file() and str(one).startswith(uri)]
    parquet = [one for one in files if one.suffix == ".parquet" and "_delta_log" not in one.parts]
    found = [str(one) for one in parquet if text in str(pq.read_table(one).to_pydict())]
    return found + [str(one) for one in files if one not in parquet and text.encode() in one.read_bytes()]


def test_no_file_names_her_any_more_and_her_neighbours_stay(score: Score, tmp_path: Path) -> None:
    uri = score("scores")
    assert files_with(uri, tmp_path, ANNA)
    assert erase(opened(uri), NOW_MS * 1000) == ROWS // 4
    assert files_with(uri, tmp_path, ANNA) == []
    assert sorted(held(uri, "request_key")) == sorted(f"k{row}" for row in range(ROWS) if row % 4)
    assert erase(opened(uri), NOW_MS * 1000) == 0


@pytest.mark.parametrize("stop_at", [BATCH * 2, BATCH * 3])
def test_a_job_that_is_resumed_afterwards_scores_each_other_row_once(score: Score, stop_at: int) -> None:
    uri = score("killed", stop_at=stop_at)
    assert not opened(uri).finished
    done = len(held(uri, "customer"))
    assert 0 < done < ROWS
    erased = erase(opened(uri), NOW_MS * 1000)
    assert score("killed") == uri
    assert opened(uri).finished
    ids = held(uri, "prediction_id")
    assert len(ids) == len(set(ids)) == ROWS - erased
    # What the input still holds is scored: it is the input that has to be cleaned first.
    assert held(uri, "customer").count(ANNA) == ROWS // 4 - erased


def test_a_table_that_names_only_requests_is_searched_by_their_keys(score: Score) -> None:
    uri = score("requests", keep=())
    assert erase(opened(uri), NOW_MS * 1000, frozenset({"k4", "k5", "", "elsewhere"})) == 2


def test_the_column_that_the_caller_said_is_the_entitys_is_searched(tmp_path: Path) -> None:
    uri = str(tmp_path / "named")
    asked = {"columns": {"entity.customer": "WHO"}, "input": {"rows": 2}}
    write_deltalake(uri, pa.table({"WHO": [HASHED, "c1"]}), description=Job(asked, {}).to_json())
    assert opened(uri).columns == ("WHO",)
    assert erase(opened(uri), NOW_MS * 1000) == 1


def test_a_job_that_began_after_the_erasure_loses_only_requests_of_before(score: Score) -> None:
    uri = score("later")
    assert erase(opened(uri), ASKED_US + 8 * SECOND_US) == 3  # rows 0, 4 and 8; the table is of today


def test_what_cannot_be_searched_is_named(score: Score, tmp_path: Path) -> None:
    nameless = score("keyless", keep=())
    foreign = str(tmp_path / "foreign")
    write_deltalake(foreign, pa.table({"customer": [ANNA]}))
    gone = str(tmp_path / "gone")
    found, unreached = open_score_tables([nameless, foreign, gone], "customer")
    assert found == []
    assert unreached == {
        nameless: NAMELESS,
        foreign: "it is no table that `tidemark score-batch` made",
        gone: GONE,
    }
