"""A service process for tests; its argument says how it behaves."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

from service_kit import Service, Settings, run


async def patient(service: Service) -> None:
    service.health.watch("self", lambda: None)
    service.log.info("working")
    await service.stop.wait()
    service.log.info("drained", not_ready=dict(service.health.reasons()))


async def job(service: Service) -> None:
    service.log.info("working")


async def failing(service: Service) -> None:
    raise ValueError(f"{service.name} has a fault")


async def stuck(service: Service) -> None:
    service.log.info("working")
    await service.stop.wait()
    await asyncio.Event().wait()


async def blocking(service: Service) -> None:
    service.log.info("working")
    await service.stop.wait()
    time.sleep(60)  # noqa: ASYNC251 - what a careless library may do


BEHAVIOURS: dict[str, Callable[[Service], Awaitable[None]]] = {
    "patient": patient,
    "job": job,
    "failing": failing,
    "stuck": stuck,
    "blocking": blocking,
}

if __name__ == "__main__":
    run("a-service", Settings(), BEHAVIOURS[sys.argv[1]], drain_seconds=0.5)
