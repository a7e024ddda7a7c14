"""Structured logs: one JSON object a line, or coloured text for a person at a terminal."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Final

import structlog

from service_kit.settings import LogFormat

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from structlog.typing import EventDict, Processor

    from service_kit.settings import Settings

_REPEATS_ALLOWED: Final = 5
_WINDOW_SECONDS: Final = 10.0


def configure_logs(
    name: str, settings: Settings, stream: TextIO | None = None
) -> structlog.stdlib.BoundLogger:
    """Send structlog's and the standard library's lines alike to `stream`; return the service's logger.

    Every line carries service and stack, and trace and span where bound. A library that repeats itself, as
    clients do while a server is away, is heard now and then only.
    """
    out = stream or sys.stderr
    lines = _common(name, settings.tidemark_stack)
    handler = logging.StreamHandler(out)
    handler.addFilter(Repeats())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=lines,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(settings, out),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.value)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *lines,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


class Repeats(logging.Filter):
    """Lets a library's message through a few times in a while, and then says how often it was held back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._windows: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record may pass; a service's own lines always may."""
        if not isinstance(record.msg, str):
            return True
        # Where it is written tells repeats apart better than its text, which may hold numbers.
        place = (record.pathname, record.lineno)
        began, count = self._windows.get(place, (self._clock(), 0))
        if self._clock() - began >= _WINDOW_SECONDS:
            if count > _REPEATS_ALLOWED:
                record.held_back = count - _REPEATS_ALLOWED
            began, count = self._clock(), 0
        self._windows[place] = (began, count + 1)
        return count < _REPEATS_ALLOWED


def _common(name: str, stack: str) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _naming(name, stack),
    ]


def _naming(name: str, stack: str) -> Processor:
    def add(_logger: object, _method: str, line: EventDict) -> EventDict:
        line.setdefault("service", name)
        line.setdefault("stack", stack)
        return line

    return add


def _rendering(settings: Settings, stream: TextIO) -> list[Processor]:
    if settings.log_format is LogFormat.CONSOLE or (
        settings.log_format is LogFormat.AUTO and stream.isatty()
    ):
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
