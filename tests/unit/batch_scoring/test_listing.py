"""The lake's list of tables of scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from batch_scoring import Job, ScoreTables, UnwritableList

if TYPE_CHECKING:
    from pathlib import Path

JOB = Job({"model": "late", "version": "v1"}, {})


def test_a_table_is_listed_once_however_often_its_job_is_resumed(tmp_path: Path) -> None:
    tables = ScoreTables(str(tmp_path))
    assert tables.has_lake
    assert tables.tables() == []
    for uri in ("/scores/b", "/scores/a", "/scores/b"):
        ScoreTables(f"{tmp_path}/").add(uri, JOB)
    tables.add("/scores/a", Job({"model": "late", "version": "v2"}, {}))
    assert tables.tables() == ["/scores/a", "/scores/b"]


def test_a_lake_that_is_not_there_has_no_list(tmp_path: Path) -> None:
    tables = ScoreTables(str(tmp_path / "nowhere"))
    assert not tables.has_lake
    assert tables.tables() == []


def test_a_lake_that_cannot_be_written_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("no folder")
    with pytest.raises(UnwritableList, match=r"write --unlisted and name the table to `tidemark forget`"):
        ScoreTables(str(tmp_path / "lake")).add("/scores/a", JOB)
