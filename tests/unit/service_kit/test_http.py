"""The health port."""

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter
from service_kit.health import Health
from service_kit.http import PortTaken, application, serving


async def get(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status, await response.text()


async def test_it_tells_metrics_life_and_readiness() -> None:
    metrics, health = CollectorRegistry(), Health()
    Counter("eggs", "Laid.", registry=metrics).inc(3)
    health.watch("hens", lambda: None)
    async with serving(application(health, metrics), 0) as port:
        assert await get(port, "/healthz") == (200, '{"alive": true}')
        assert await get(port, "/readyz") == (200, '{"ready": true, "reasons": {}}')
        status, text = await get(port, "/metrics")
        assert status == 200
        assert "eggs_total 3.0" in text


async def test_who_is_not_ready_says_why_and_is_alive() -> None:
    health, reason = Health(), "Redis is away"
    health.watch("redis", lambda: reason or None)
    health.watch("kafka", lambda: None)
    async with serving(application(health, CollectorRegistry()), 0) as port:
        assert await get(port, "/readyz") == (503, '{"ready": false, "reasons": {"redis": "Redis is away"}}')
        assert (await get(port, "/healthz"))[0] == 200
        reason = ""
        assert (await get(port, "/readyz"))[0] == 200


async def test_a_taken_port_is_named_with_the_remedy() -> None:
    app = application(Health(), CollectorRegistry())
    async with serving(app, 0) as port:
        with pytest.raises(PortTaken, match=f"port {port} cannot be used .* METRICS_PORT"):
            async with serving(application(Health(), CollectorRegistry()), port):
                pass


def test_who_has_said_nothing_of_its_readiness_is_still_starting() -> None:
    health = Health()
    assert health.reasons() == {"service": "is still starting"}
    health.watch("redis", lambda: None)
    assert health.ready


def test_readiness_is_asked_anew_each_time() -> None:
    health, answers = Health(), iter([None, "away", None])
    health.watch("redis", lambda: next(answers))
    assert [health.ready for _ in range(3)] == [True, False, True]
