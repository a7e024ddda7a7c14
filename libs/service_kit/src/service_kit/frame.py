"""Running a service: loop, logs, signals, health server, and a stop that drains."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

import uvloop
from prometheus_client import REGISTRY, CollectorRegistry

from service_kit.health import Health
from service_kit.http import PortTaken, application, serving
from service_kit.logs import configure_logs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from structlog.stdlib import BoundLogger

    from service_kit.settings import Settings

DRAIN_SECONDS: Final = 30.0
COLLECT_AFTER: Final = (50_000, 20, 50)
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Service:
    """What the frame gives a service's `main`.

    Attributes:
        stop: Set when the process is to end: take no more work, drain, return.
        health: Where parts say whether they are ready.
        metrics: What /metrics shows; the process's default registry, so that libraries' metrics are in it.
    """

    name: str
    log: BoundLogger
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    health: Health = field(default_factory=Health)
    metrics: CollectorRegistry = REGISTRY


def run(
    name: str,
    settings: Settings,
    main: Callable[[Service], Awaitable[None]],
    *,
    drain_seconds: float = DRAIN_SECONDS,
    collect_after: tuple[int, int, int] = COLLECT_AFTER,
) -> NoReturn:
    """Run a service until it is done or told to stop, then end the process.

    SIGTERM and SIGINT set `Service.stop`. The exit status is 0 when `main` returns within the drain deadline,
    and 1 when it raises, when the deadline passes, or at a second signal.

    Args:
        name: What logs call it.
        settings: What every service is told.
        main: Its body.
        drain_seconds: How long `main` may go on after a stop.
        collect_after: When Python looks for cycles (`gc.set_threshold`). Seldom costs least; a service whose
            callers wait while it looks does so more often, among fewer objects.
    """
    log = configure_logs(name, settings)
    _spare_the_collector(collect_after)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        status = runner.run(_serve(Service(name, log), settings.metrics_port, main, drain_seconds))
    _leave(status)


def _leave(status: int) -> NoReturn:
    others = set(threading.enumerate()) - {threading.current_thread()}
    if any(thread.daemon for thread in others):
        leave_at_once(status)
    sys.exit(status)


def leave_at_once(status: int) -> NoReturn:
    """End the process without waiting for threads that nobody waits for.

    One that is in native code would abort the process, were it to come back to an interpreter that is being
    taken apart. What was written is flushed; `atexit` is not heard.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _spare_the_collector(collect_after: tuple[int, int, int]) -> None:
    # A service makes many short-lived objects and few cycles. Python looks for cycles every 700 objects,
    # which was a fifth to a third of a consumer's time (measured with the bus at 60 k events/s); what was
    # imported never goes.
    gc.freeze()
    gc.set_threshold(*collect_after)


async def _serve(
    service: Service, port: int, main: Callable[[Service], Awaitable[None]], drain_seconds: float
) -> int:
    stopping = _Stopping(service, drain_seconds)
    loop = asyncio.get_running_loop()
    for signum in _SIGNALS:
        loop.add_signal_handler(signum, stopping.on_signal, signum)
    try:
        async with serving(application(service.health, service.metrics), port) as bound_port:
            service.log.info("started", metrics_port=bound_port, pid=os.getpid())
            await main(service)
    except Exception as error:
        taken = _port_taken(error)
        if taken is None:
            service.log.exception("failed")
        else:
            service.log.error("could not start", reason=str(taken))  # noqa: TRY400 - the reason says it all
        return 1
    else:
        service.log.info("stopped")
        return 0
    finally:
        stopping.done()


def _port_taken(error: BaseException) -> PortTaken | None:
    """Find it, also in what task groups wrap around it."""
    if isinstance(error, PortTaken):
        return error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next((found for found in map(_port_taken, inner) if found is not None), None)


class _Stopping:
    """Turns signals into a stop with a deadline.

    The deadline is kept by a thread: a loop that some call blocks could not keep it.
    """

    def __init__(self, service: Service, drain_seconds: float) -> None:
        self._service = service
        self._drain_seconds = drain_seconds
        self._timer: threading.Timer | None = None

    def on_signal(self, signum: int) -> None:
        """Ask for the stop, and be ready for nothing more; the second time, end at once."""
        name = signal.Signals(signum).name
        if self._timer is not None:
            self._end(f"{name} again")
        self._service.log.info("stopping", signal=name, drain_seconds=self._drain_seconds)
        reason = f"not drained {self._drain_seconds:g} s after {name}"
        self._timer = threading.Timer(self._drain_seconds, self._end, [reason])
        self._timer.daemon = True
        self._timer.start()
        self._service.health.watch("service", lambda: "is stopping")
        self._service.stop.set()

    def done(self) -> None:
        """Call off the deadline."""
        if self._timer is not None:
            self._timer.cancel()

    def _end(self, reason: str) -> None:
        self._service.log.error("ended without draining", reason=reason)
        # Not sys.exit: whatever did not drain would hold that up as well.
        os._exit(1)
