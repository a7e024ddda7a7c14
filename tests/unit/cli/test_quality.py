"""`tidemark quality report` over days of real flights, one of them broken on purpose."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from data_quality.findings import Day, Example, Refusals
from data_quality.judging import Judge
from data_quality.memory import MemoryHistory
from deltalake import write_deltalake
from feature_store import Incoming, decode_events
from tidemark_cli.testing import Cli

from examples.flights.fault import Fault
from examples.flights.features import arrivals, departures, weather
from examples.flights.streams import load_streams

if TYPE_CHECKING:
    from feature_store import Source

BROKEN_FROM, BROKEN_TO = datetime(2013, 8, 30, tzinfo=UTC), datetime(2013, 8, 31, tzinfo=UTC)


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A lake of a few August days, in which departures do not say on the 30th how late they were."""
    lake = tmp_path_factory.mktemp("lake")
    streams = load_streams(datetime(2013, 8, 28, tzinfo=UTC), datetime(2013, 9, 1, 2, tzinfo=UTC))
    streams = Fault(BROKEN_FROM, BROKEN_TO).put_into(streams)
    for source, stream in zip((departures, arrivals, weather), streams.sources, strict=True):
        events, rejects = decode_events(source, Incoming.of(stream.events(slice(0, len(stream)))))
        assert not rejects
        write_deltalake(lake / "sources" / source.topic, events.to_arrow())
    return Cli({"LAKE_URI": str(lake), "TIDEMARK_PROJECT": "examples.flights", "COLUMNS": "250"})


async def told(cli: Cli, *arguments: str, exit_code: int = 0) -> Any:
    result = await cli.run("quality", "report", *arguments, "--no-dead-letters", "--json")
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


async def test_a_field_that_an_upstream_forgets_fails_its_day_and_no_other(reported: Cli) -> None:
    days = await told(reported, "--since", "2013-08-29", "--day", "2013-08-31", exit_code=1)
    verdicts = {(one["source"], one["day"]): one["verdict"] for one in days}
    assert [where for where, verdict in verdicts.items() if verdict == "FAILED"] == [
        ("flights.departed.v1", "2013-08-30")
    ]
    assert len(verdicts) == 9
    broken = next(one for one in days if one["verdict"] == "FAILED")
    (failed,) = [one for one in broken["expectations"] if one["verdict"] == "FAILED"]
    assert (failed["statistic"], failed["subject"]) == ("null_rate", "departure_delay_minutes")
    assert (failed["observed"], failed["failed_rows"]) == (1.0, broken["rows"])
    assert failed["examples"]
    assert broken["closed"]


async def test_one_source_of_one_day_is_a_table_and_a_page(
    reported: Cli, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = tmp_path_factory.mktemp("page") / "day.html"
    arguments = ("--day", "2013-08-29", "--source", weather.topic, "--html", str(page), "--no-dead-letters")
    result = await reported.run("quality", "report", *arguments)
    assert result.exit_code == 0, result.output
    shown = " ".join(result.stdout.split())
    assert "weather.observed.v1 2013-08-29 72 rows passed" in shown
    assert "known_share origin 1 at least 100.00% in flights.departed.v1 origin passed" in shown
    assert "<polyline" in page.read_text(encoding="utf-8")


async def test_a_day_that_is_not_over_in_the_lake_is_open_unless_somebody_says_otherwise(
    reported: Cli,
) -> None:
    (day,) = await told(reported, "--day", "2013-09-01", "--source", weather.topic, exit_code=1)
    assert not day["closed"]
    (day,) = await told(reported, "--day", "2013-09-01", "--source", weather.topic, "--closed", exit_code=1)
    assert day["closed"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "say which day"),
        (("--day", "2013-08-30", "--since", "2013-08-31"), "is later than --day"),
        (("--day", "yesterday"), "no day, such as 2013-08-30"),
    ],
)
async def test_what_makes_no_sense_is_said(reported: Cli, arguments: tuple[str, ...], complaint: str) -> None:
    result = await reported.run("quality", "report", *arguments)
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.split())


async def test_a_source_without_a_table_is_told_and_the_others_are_judged(
    reported: Cli, tmp_path: Path
) -> None:
    lake = Path(reported.environment["LAKE_URI"])
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / departures.topic).symlink_to(lake / "sources" / departures.topic)
    arguments = ("--day", "2013-08-29", "--lake", str(tmp_path), "--no-dead-letters", "--json")
    result = await reported.run("quality", "report", *arguments)
    assert result.exit_code == 1
    assert [one["source"] for one in json.loads(result.stdout)] == [departures.topic]
    assert f"no table {tmp_path}/sources/{arrivals.topic}" in " ".join(result.stderr.split())
    nowhere = ("--day", "2013-08-29", "--lake", str(tmp_path / "none"), "--no-dead-letters")
    assert "check LAKE_URI" in await reported.refused("quality", "report", *nowhere)


async def test_an_unknown_source_is_met_with_the_one_that_was_meant(reported: Cli) -> None:
    arguments = ("--day", "2013-08-30", "--source", "flights.departd.v1")
    complaint = await reported.refused("quality", "report", *arguments)
    assert "has no source 'flights.departd.v1'. Did you mean 'flights.departed.v1'?" in complaint


def test_newarks_impossible_wind_is_told_on_its_day() -> None:
    streams = load_streams(datetime(2013, 2, 10, tzinfo=UTC), datetime(2013, 2, 14, tzinfo=UTC))
    given = {}
    for source, stream in zip((departures, arrivals, weather), streams.sources, strict=True):
        given[source.topic], rejects = decode_events(
            source, Incoming.of(stream.events(slice(0, len(stream))))
        )
    (reject,) = rejects
    refusals = (Refusals(reject.reason, 1, (Example(0, reject.index, reject.detail),)),)
    day = Day.of("2013-02-12")
    judge = Judge(weather, MemoryHistory(given), {day: refusals}, trend_days=1)
    (failed,) = judge.judge(day).failed
    assert (failed.statistic, failed.value) == ("refused_share", 1 / 72)
    assert failed.examples[0].told == "wind_speed_mph is 1048.36058; it must lie between 0 and 250."
    assert not judge.judge(Day(day.number - 1)).failed


def test_the_three_sources_of_the_example_say_what_they_expect() -> None:
    sources: list[Source] = [departures, arrivals, weather]
    assert [len(one.expectations) for one in sources] == [6, 6, 7]
