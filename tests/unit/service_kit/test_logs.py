"""What log lines hold."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from service_kit import Settings
from service_kit.logs import Repeats, configure_logs
from service_kit.settings import LogFormat, LogLevel
from service_kit.trace import TraceContext, bound


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Sink:
    def __init__(self, log_format: LogFormat = LogFormat.JSON, log_level: LogLevel = LogLevel.INFO) -> None:
        self.stream = io.StringIO()
        settings = Settings(log_format=log_format, log_level=log_level, tidemark_stack="blue")
        self.log = configure_logs("feature", settings, self.stream)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_that_names_service_and_stack() -> None:
    sink = Sink()
    sink.log.info("started", port=9100)
    (line,) = sink.lines()
    timestamp = line.pop("timestamp")
    assert timestamp.endswith("Z")
    assert line == {
        "event": "started",
        "port": 9100,
        "level": "info",
        "logger": "feature",
        "service": "feature",
        "stack": "blue",
    }


def test_a_librarys_lines_look_the_same() -> None:
    sink = Sink()
    logging.getLogger("bus.runner").warning("%s waits", "g", extra={"partition": 3})
    (line,) = sink.lines()
    assert (line["event"], line["logger"], line["level"], line["partition"]) == (
        "g waits",
        "bus.runner",
        "warning",
        3,
    )
    assert (line["service"], line["stack"]) == ("feature", "blue")


def test_a_bound_trace_is_on_every_line_inside() -> None:
    sink = Sink()
    with bound(TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")):
        sink.log.info("inside")
        logging.getLogger("lib").warning("inside too")
    sink.log.info("outside")
    inside, inside_too, outside = sink.lines()
    assert inside["trace_id"] == inside_too["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert inside["span_id"] == "b7ad6b7169203331"
    assert "trace_id" not in outside


def test_an_exception_is_in_its_line() -> None:
    sink = Sink()
    sink.log.error("failed", exc_info=ValueError("indigestible"))
    (line,) = sink.lines()
    assert "ValueError: indigestible" in line["exception"]


def test_what_is_below_the_level_is_not_written() -> None:
    sink = Sink(log_level=LogLevel.WARNING)
    sink.log.info("quiet")
    logging.getLogger("lib").info("quiet")
    assert sink.lines() == []


def test_a_person_may_ask_for_plain_text() -> None:
    sink = Sink(LogFormat.CONSOLE)
    sink.log.info("started", port=9100)
    assert "started" in sink.stream.getvalue()
    assert "port=9100" in sink.stream.getvalue()


def test_away_from_a_terminal_lines_are_json() -> None:
    sink = Sink(LogFormat.AUTO)
    sink.log.info("started")
    assert sink.lines()[0]["event"] == "started"


def test_a_library_that_repeats_itself_is_heard_now_and_then_and_told_how_often_not() -> None:
    now = 0.0
    repeats = Repeats(lambda: now)

    def passes() -> logging.LogRecord | None:
        record = logging.LogRecord("aiokafka", logging.ERROR, "client.py", 1, "no broker at %s", ("k",), None)
        return record if repeats.filter(record) else None

    assert sum(passes() is not None for _ in range(100)) == 5
    now = 10.0
    heard = passes()
    assert heard is not None
    assert heard.held_back == 95  # type: ignore[attr-defined] # added by the filter


def test_a_services_own_lines_are_never_held_back() -> None:
    sink = Sink()
    for number in range(20):
        sink.log.info("batch done", number=number)
    assert len(sink.lines()) == 20
