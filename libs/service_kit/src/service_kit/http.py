"""The port every service has: /metrics, /healthz and /readyz."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from prometheus_client import CollectorRegistry

    from service_kit.health import Health


class PortTaken(OSError):
    """The port asked for is in use."""


def application(health: Health, metrics: CollectorRegistry) -> web.Application:
    """Build the three answers."""

    async def answer_metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def answer_alive(_request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def answer_ready(_request: web.Request) -> web.Response:
        reasons = dict(health.reasons())
        return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    app = web.Application()
    app.router.add_get("/metrics", answer_metrics)
    app.router.add_get("/healthz", answer_alive)
    app.router.add_get("/readyz", answer_ready)
    return app


@asynccontextmanager
async def serving(app: web.Application, port: int, host: str = "0.0.0.0") -> AsyncIterator[int]:  # noqa: S104 - probes come from outside
    """Serve on a port, 0 for a free one; gives the port.

    Raises:
        PortTaken: the port is in use.
    """
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise PortTaken(
                f"port {port} cannot be used ({error.strerror}): set METRICS_PORT=0 or another"
            ) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
