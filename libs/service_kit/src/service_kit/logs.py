"""Structured logs: one JSON object a line, or coloured text for a person at a terminal."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

from service_kit.settings import LogFormat

if TYPE_CHECKING:
    from typing import TextIO

    from structlog.typing import Processor

    from service_kit.settings import Settings


def configure_logs(
    name: str, settings: Settings, stream: TextIO = sys.stderr
) -> structlog.stdlib.BoundLogger:
    """Send structlog's and the standard library's lines alike to `stream`; return the service's logger.

    Every line carries service and stack, and trace and span where bound.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _naming(name, settings.tidemark_stack),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(settings, stream),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.value)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def _naming(name: str, stack: str) -> Processor:
    def add(_logger: object, _method: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        line.setdefault("service", name)
        line.setdefault("stack", stack)
        return line

    return add


def _rendering(settings: Settings, stream: TextIO) -> list[Processor]:
    console = settings.log_format is LogFormat.CONSOLE or (
        settings.log_format is LogFormat.AUTO and stream.isatty()
    )
    if console:
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty())]
    return [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(default=str)]
