import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from bus.events import Event
from bus.follow import Follower
from bus.kafka.tail import KafkaTail
from bus.producer import KafkaPublisher
from bus.received import Received
from bus.topics import MODELS_REGISTERED, ROUTES_CHANGED, dead_letter_of
from control_plane.domain.versions import Claim
from control_plane.testing import put_package, registration_body
from model_package import PackageStore
from tidemark.registry.v1.model_pb2 import ModelRegistered
from tidemark.registry.v1.route_pb2 import RouteChanged
from tidemark_cli.platform import Platform, ProcessDied, ProcessSpec

ACTOR = {"Tidemark-Actor": "ada"}


async def approve(rest: httpx.AsyncClient, model: str, version: str | None) -> None:
    reply = await rest.post(
        f"/v1/approvals/version:{model}:{version}/decision",
        json={"decision": "approve"},
        headers={"Tidemark-Actor": "bo"},
    )
    reply.raise_for_status()


async def until_read(broker: str, topic: str, enough: Callable[[list[Received]], bool]) -> list[Received]:
    """Reads a topic from its beginning until it holds enough."""
    read: list[Received] = []
    stop = asyncio.Event()

    async def on_event(received: Received) -> None:
        read.append(received)
        if enough(read):
            stop.set()

    async with asyncio.timeout(20):
        await Follower(KafkaTail(broker, topic, client_id="test"), on_event).run(stop)
    return read


def announcement(claim: Claim) -> Event:
    message = ModelRegistered(
        model=claim.model,
        version=claim.version or "",
        digest=claim.digest,
        package_uri=claim.package_uri,
        contract_hash=claim.contract_hash or "",
    )
    return Event.of(
        message, id=f"{claim.version}", source="test", key=claim.model, time_us=1, recorded_time_us=2
    )


async def test_versions_from_the_topic_are_routed_over_rest_and_announced(
    rest: httpx.AsyncClient, broker: str, store: PackageStore, tmp_path: Path
) -> None:
    claims = [put_package(store, tmp_path / str(n), model="late", weight=n) for n in (1.0, 2.0)]
    names = [claim.version for claim in claims]
    async with KafkaPublisher(broker, client_id="test") as publisher:
        await publisher.publish_all(MODELS_REGISTERED.name, [announcement(claim) for claim in claims])
    async with asyncio.timeout(20):
        while (await rest.get(f"/v1/models/late/versions/{names[1]}")).status_code != 200:  # noqa: ASYNC110 - another process consumes
            await asyncio.sleep(0.05)
    await approve(rest, "late", names[0])
    reply = await rest.put("/v1/models/late/route", json={"champion": names[0], "shadows": names[1:]})
    assert reply.status_code == 201
    [received] = await until_read(broker, ROUTES_CHANGED.name, bool)
    message = RouteChanged.FromString(received.event.data)
    assert (received.event.key, message.revision) == (b"late", 1)
    assert message.arms[0].version.package_uri == claims[0].package_uri
    assert [shadow.version for shadow in message.shadows] == names[1:]


@pytest.mark.usefixtures("rest")
async def test_what_cannot_be_registered_ends_as_a_dead_letter_with_its_reason(
    broker: str, store: PackageStore, folder: Path, tmp_path: Path
) -> None:
    claim = put_package(store, tmp_path / "package", model="refused", weight=3.0)
    (folder / "packages" / claim.digest / "model.onnx").write_bytes(b"something else")
    wrong = [
        announcement(claim),
        announcement(replace(claim, package_uri=str(tmp_path / "elsewhere"))),
        announcement(replace(claim, digest="0" * 64)),
        replace(announcement(claim), data=b"\xff\xff"),
    ]
    async with KafkaPublisher(broker, client_id="test") as publisher:
        await publisher.publish_all(MODELS_REGISTERED.name, wrong)
    letters = await until_read(
        broker, dead_letter_of(MODELS_REGISTERED.name), lambda read: len(read) == len(wrong)
    )
    assert [letter.event.data for letter in letters] == [event.data for event in wrong]


async def test_a_package_that_was_changed_after_registration_is_not_routed_to(
    rest: httpx.AsyncClient, store: PackageStore, folder: Path, tmp_path: Path
) -> None:
    claim = put_package(store, tmp_path / "package", model="changed", weight=4.0)
    created = await rest.post("/v1/models/changed/versions", json=registration_body(claim))
    assert created.status_code == 201
    await approve(rest, "changed", claim.version)
    (folder / "packages" / claim.digest / "model.onnx").write_bytes(b"something else")
    reply = await rest.put("/v1/models/changed/route", json={"champion": claim.version})
    assert (reply.status_code, reply.json()["reason"]) == (422, "DIGEST_MISMATCH")
    assert "model.onnx" in reply.json()["detail"]


async def test_it_serves_its_description(rest: httpx.AsyncClient) -> None:
    assert (await rest.get("/openapi.json")).json()["info"]["title"] == "Tidemark control plane"
    assert (await rest.get("/docs")).status_code == 200


async def test_it_stops_when_told_and_starts_with_what_it_knew(
    platform: Platform, spec: ProcessSpec, store: PackageStore, tmp_path: Path
) -> None:
    process = await platform.start(spec)
    claim = put_package(store, tmp_path / "package", model="kept", weight=5.0)
    async with httpx.AsyncClient(base_url=process.url("HTTP_PORT"), headers=ACTOR) as rest:
        await rest.post("/v1/models/kept/versions", json=registration_body(claim))
        assert await process.stop(deadline_seconds=20) == 0
        await platform.restart(process.name)
        assert (await rest.get("/v1/models/kept")).json()["latest_version"] == claim.version


async def test_a_busy_port_is_named(platform: Platform, spec: ProcessSpec) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        busy = replace(spec, environment={**spec.environment, "HTTP_PORT": str(port)}, ports=())
        with pytest.raises(ProcessDied, match=rf"port {port} cannot be used(?s:.*)set HTTP_PORT"):
            await platform.start(busy)


async def test_processes_that_start_together_migrate_once(platform: Platform, spec: ProcessSpec) -> None:
    specs = [replace(spec, name=f"together-{number}") for number in range(2)]
    started = await platform.start_all(specs)
    async with httpx.AsyncClient() as client:
        replies = [await client.get(f"{each.url('HTTP_PORT')}/v1/models") for each in started]
    assert [reply.status_code for reply in replies] == [200, 200]


async def test_without_a_broker_rest_goes_on_and_it_is_not_ready(
    tmp_path: Path, store: PackageStore, folder: Path
) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "DATABASE_URL": f"sqlite:///{tmp_path}/registry.sqlite",
        "PACKAGES_URI": str(folder / "packages"),
    }
    claim = put_package(store, tmp_path / "package", model="alone", weight=6.0)
    async with Platform(tmp_path / "logs", environment) as platform, asyncio.TaskGroup() as tasks:
        spec = ProcessSpec("alone", "control_plane", ports=("HTTP_PORT",))
        starting = tasks.create_task(platform.start(spec))
        await asyncio.sleep(0)
        process = platform.processes["alone"]
        transport = httpx.AsyncHTTPTransport(retries=10)
        async with httpx.AsyncClient(
            base_url=process.url("HTTP_PORT"), transport=transport, headers=ACTOR
        ) as rest:
            await rest.post("/v1/models/alone/versions", json=registration_body(claim))
            await approve(rest, "alone", claim.version)
            reply = await rest.put("/v1/models/alone/route", json={"champion": claim.version})
            ready = await rest.get(f"{process.metrics_url}/readyz")
        assert (reply.status_code, ready.status_code) == (201, 503)
        assert "has not joined group control-plane" in ready.text
        assert not starting.done()
        starting.cancel()
        assert await process.stop(deadline_seconds=20) == 0
