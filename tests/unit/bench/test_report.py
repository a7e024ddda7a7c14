"""What `python -m bench` says and keeps."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

import bench.__main__ as report
from bench.figures import Claim, Row, compared, measured, unmeasured

MET = measured("a.met", [1.0, 1.5, 2.0], "ms", Claim("<", 10, aim=1))
MISSED = compared("a.missed", [200.0, 210.0, 220.0], "us", ("echo", [100.0, 100.0, 100.0]), Claim("<=", 1.5))
TOLD = measured("b.told", [7.0], "1/s")
OLD: Row = {
    **dict.fromkeys(("reference", "reference_value", "ratio", "must", "met")),
    "name": "store.old",
    "value": 1.0,
    "unit": "s",
}


def test_the_verdict_counts_claims_and_names_what_is_not_met() -> None:
    assert report.verdict([MET, MISSED, TOLD, OLD], []) == [
        "1 of 2 claims are met.",
        "NOT MET  a.missed: 2.1 (2 to 2.2 over 3), must be ratio <= 1.5",
    ]


def test_a_claim_that_could_not_be_measured_is_not_met() -> None:
    row = unmeasured("a.peer", "1/s", Claim(">=", 2), "it did not start")
    assert (
        report.verdict([row], [])[1] == "NOT MET  a.peer: not measured: it did not start, must be ratio >= 2"
    )
    assert unmeasured("a.peer", "1/s", None, "it did not start")["met"] is None


def test_the_verdict_names_areas_that_broke() -> None:
    assert report.verdict([], ["bus"])[1].startswith("BROKEN   bus:")


def test_results_replace_what_was_measured_and_keep_the_rest(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    report.write([MET, TOLD], results, "2026-01-01T00:00:00+00:00")
    again = measured("a.met", [3.0], "ms")
    report.write([again], results, "2026-01-02T00:00:00+00:00")
    kept = {row["name"]: row for row in json.loads(results.read_text())}
    assert list(kept) == ["a.met", "b.told"]
    assert (kept["a.met"]["value"], kept["a.met"]["measured_at"]) == (3.0, "2026-01-02T00:00:00+00:00")
    assert kept["b.told"]["measured_at"] == "2026-01-01T00:00:00+00:00"


def test_the_table_has_spread_must_and_aim_and_takes_rows_without_them() -> None:
    console = Console(width=200, file=io.StringIO())
    with console.capture() as printed:
        console.print(report.table([MET, MISSED, TOLD, OLD]))
    lines = {line.split()[1]: line for line in printed.get().splitlines() if line.count("│") > 2}
    assert "1 to 2 over 3" in lines["a.met"]
    assert "< 1: no" in lines["a.met"]
    assert "2 to 2.2 over 3" in lines["a.missed"]
    assert "ratio <= 1.5" in lines["a.missed"]


@pytest.mark.parametrize(
    ("areas", "code", "said"),
    [
        ({"one": [MET], "two": [TOLD]}, 0, "1 of 1 claims are met."),
        ({"one": [MISSED], "two": [TOLD]}, 1, "NOT MET  a.missed"),
        ({"one": None, "two": [MET]}, 1, "BROKEN   one"),
    ],
)
def test_the_exit_says_whether_every_claim_holds_and_a_broken_area_costs_no_other(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    areas: dict[str, list[Row] | None],
    code: int,
    said: str,
) -> None:
    def area(name: str) -> SimpleNamespace:
        def run() -> list[Row]:
            rows = areas[name.removeprefix("bench.")]
            if rows is None:
                raise OSError("no more room")
            return rows

        return SimpleNamespace(run=run)

    monkeypatch.setattr(report, "AREAS", tuple(areas))
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(report.importlib, "import_module", area)
    app = report.typer.Typer()
    app.command()(report.main)
    done = CliRunner().invoke(app, [])
    assert done.exit_code == code
    assert said in done.output
    measured_names = {row["name"] for rows in areas.values() if rows for row in rows}
    assert {row["name"] for row in json.loads((tmp_path / "results.json").read_text())} == measured_names
