"""kill -9 between commit and publish: the topic ends with the database's state, in order, nothing missing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import httpx
import pytest
from bus import inspect
from bus.topics import ROUTES_CHANGED
from control_plane.testing import put_package, registration_body
from local_stack import LocalStack
from model_package import PackageStore
from tidemark.registry.v1.route_pb2 import RouteChanged
from tidemark_cli.platform import Platform, ProcessSpec

ROUTE = "/v1/models/late/route"
ACTOR = {"Tidemark-Actor": "ada"}
ROUNDS = 3
CHANGES = 25


@dataclass(frozen=True)
class Fleet:
    """Two control planes that share a database, and the versions they may route."""

    stack: LocalStack
    platform: Platform
    names: list[str]

    def client(self, name: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.platform.processes[name].url("HTTP_PORT"), headers=ACTOR)

    async def put(self, name: str, champion: str, *shadows: str) -> int:
        """Changes the route through one of them, and returns the revision that was committed."""
        async with self.client(name) as rest:
            reply = await rest.put(ROUTE, json={"champion": champion, "shadows": shadows})
        reply.raise_for_status()
        return int(reply.json()["revision"])

    async def published(self, until_revision: int) -> list[int]:
        """Reads the revisions on the topic from its beginning until one is there."""
        revisions = []
        async with asyncio.timeout(60):
            async for seen in inspect.tail(
                self.stack.kafka_bootstrap, ROUTES_CHANGED.name, from_beginning=True
            ):
                assert isinstance(seen.message, RouteChanged)
                revisions.append(seen.message.revision)
                if revisions[-1] == until_revision:
                    return revisions
        raise AssertionError("unreachable")


@pytest.fixture
async def fleet(own_stack: Callable[..., Awaitable[LocalStack]], tmp_path: Path) -> AsyncIterator[Fleet]:
    stack = await own_stack(valkey=None)
    store = PackageStore(tmp_path / "packages")
    claims = [put_package(store, tmp_path / str(n), model="late", weight=float(n)) for n in (1, 2, 3)]
    environment = {
        **stack.environment(),
        "PACKAGES_URI": str(tmp_path / "packages"),
        "DATABASE_URL": f"sqlite:///{tmp_path}/registry.sqlite",
    }
    async with Platform(tmp_path / "logs", environment) as platform:
        await platform.start_all(
            [ProcessSpec(name, "control_plane", ports=("HTTP_PORT",)) for name in ("left", "right")]
        )
        fleet = Fleet(stack, platform, [str(claim.version) for claim in claims])
        async with fleet.client("left") as rest:
            for claim in claims:
                made = await rest.post("/v1/models/late/versions", json=registration_body(claim))
                approval = f"/v1/approvals/{made.json()['approval_id']}/decision"
                decided = await rest.post(
                    approval, json={"decision": "approve"}, headers={"Tidemark-Actor": "bo"}
                )
                decided.raise_for_status()
        yield fleet


async def test_a_change_that_was_committed_while_the_broker_was_away_survives_kill_9(fleet: Fleet) -> None:
    await fleet.platform.kill("right")
    fleet.stack.kafka.pause()
    try:
        assert await fleet.put("left", fleet.names[0], fleet.names[1]) == 1
        assert await fleet.put("left", fleet.names[1]) == 2
        await fleet.platform.kill("left")
    finally:
        fleet.stack.kafka.resume()
    await fleet.platform.restart("left")
    read = await fleet.published(until_revision=2)
    assert list(dict.fromkeys(read)) == [1, 2], "some may be there twice: the broker had them in its socket"


async def test_changes_survive_kill_9_right_after_their_commits(fleet: Fleet) -> None:
    champions = cycle(fleet.names)
    revision = 0
    for round_number in range(ROUNDS):
        victim, witness = ("left", "right") if round_number % 2 else ("right", "left")
        for change in range(CHANGES):
            revision = await fleet.put((victim, witness)[change % 2], next(champions))
        await fleet.platform.kill(victim)
        revision = await fleet.put(witness, next(champions))
        await fleet.platform.restart(victim)
    assert revision == ROUNDS * (CHANGES + 1)

    await fleet.published(until_revision=revision)
    await fleet.platform.stop()
    read = await fleet.published(until_revision=revision)
    firsts = list(dict.fromkeys(read))
    assert firsts == list(range(1, revision + 1)), "every change arrived, none before an older one"
    assert read == sorted(read), "and no older one after a newer one"
