"""The commands that see and change what serves, on a real control plane and a real broker."""

import asyncio

import pytest
from bus.events import Event
from bus.producer import KafkaPublisher
from bus.progress import targets_of
from bus.topics import RETRAIN_REQUESTED, ROUTES_FOLLOWED
from bus.tracker import ProgressTracker
from control_plane.testing import put_package
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from model_package import PackageStore
from tidemark.monitoring.v1.alert_pb2 import Evidence
from tidemark.registry.v1.route_pb2 import RouteFollowed, RouteUptake
from tidemark.retraining.v1.retrain_pb2 import RetrainRequested
from tidemark_cli.testing import Cli


@pytest.fixture(scope="module")
async def names(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two versions, registered by the command line and approved by somebody else."""
    store, names = PackageStore(cli.environment["PACKAGES"]), []
    for weight in (1.0, 2.0):
        claim = put_package(store, tmp_path_factory.mktemp("package"), model="late", weight=weight)
        registering = ["models", "register", "late", "--package", claim.package_uri, "--digest", claim.digest]
        told = await cli.show(*registering)
        assert told == f"{claim.version} of late is registered."
        assert (await cli.show(*registering)).endswith("was registered before.")
        refused = await cli.refused("route", "set", "late", "--champion", str(claim.version))
        assert "is not approved yet" in refused
        assert (await cli.show("approve", str(claim.version), "--as", "bob")).endswith("is approved.")
        names.append(str(claim.version))
    return names


async def test_models_and_versions_are_shown(cli: Cli, names: list[str]) -> None:
    assert names[0] in await cli.show("models", "versions", "late")
    assert [one["version"] for one in await cli.read("models", "versions", "late")] == names[::-1]
    shown = await cli.read("models", "show", "late", names[0])
    assert shown["metrics"] == {"roc_auc": 0.75}
    assert "roc_auc 0.75" in await cli.show("models", "show", "late", names[0])
    assert (await cli.read("models", "show", "late"))["versions"] == 2
    assert [one["model"] for one in await cli.read("models", "list")] == ["late"]
    assert "late" in await cli.show("models", "list")


async def test_a_route_is_set_shown_and_not_overwritten(cli: Cli, names: list[str]) -> None:
    first = await cli.read("route", "set", "late", "--champion", names[0], "--shadow", names[1])
    assert [shadow["version"] for shadow in first["shadows"]] == [names[1]]
    revision = str(first["revision"])
    told = await cli.show("route", "set", "late", "--champion", names[1], "--if-revision", revision)
    assert f"champion {names[1]}" in told
    late = await cli.run("route", "set", "late", "--champion", names[0], "--if-revision", revision)
    assert (late.exit_code, late.stdout) == (1, "")
    assert "read it again" in " ".join(late.stderr.split())
    assert (await cli.read("route", "show", "late"))["champion"]["version"] == names[1]
    assert names[1] in await cli.show("route", "show", "late")
    history = await cli.read("route", "history", "late")
    assert [one["champion"]["version"] for one in history[:2]] == names[::-1]
    assert f"{names[0]} 100 % (champion)" in await cli.show("route", "history", "late")


async def test_a_route_to_nobody_is_refused_in_a_line(cli: Cli, names: list[str]) -> None:
    assert names
    result = await cli.run("route", "set", "late", "--champion", "nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Model 'late' has no version 'nobody'" in " ".join(result.stderr.split())


async def test_a_route_is_read_from_its_topic(cli: Cli, names: list[str]) -> None:
    await cli.run("route", "set", "late", "--champion", names[0])
    [first] = await cli.lines("tail", "tidemark.routes.changed.v1", "--from-beginning", "--limit", "1")
    assert (first["key"], first["data"]["model"]) == ("late", "late")
    assert first["id"].startswith("route:late:")
    told = await cli.show("tail", "tidemark.routes.changed.v1", "--from-beginning", "--limit", "1")
    assert "known at" in told


async def test_a_requested_retraining_waits_for_somebodys_word(
    cli: Cli, broker: str, names: list[str]
) -> None:
    asked = RetrainRequested(
        request_id="late:drift:2013-06-17T00:00:00Z",
        model="late",
        policy="drift",
        reason="wind_mph moved.",
        champion=names[0],
        evidence=[Evidence(subject="wind_mph", statistic="psi", before=0.01, now=0.62, rows=6_543)],
        requested_at=Timestamp(seconds=1_371_427_200),
        expires_at=Timestamp(seconds=1_372_032_000),
    )
    async with ProgressTracker(broker) as tracker, KafkaPublisher(broker, client_id="test") as publisher:
        [position] = await publisher.publish_all(RETRAIN_REQUESTED.name, [event(asked, asked.request_id)])
        await tracker.reached("control-plane", targets_of([position]), timeout_s=30)
    told = await cli.show("approvals", "show", "late:drift")
    assert "wind_mph psi 0.01 0.62" in told
    assert "expires at 2013-06-24T00:00:00Z" in told
    assert (await cli.show("reject", "late:drift", "--comment", "not now", "--as", "bob")).endswith(
        "rejected."
    )
    assert "was rejected by bob" in await cli.refused("approve", "late:drift", "--as", "eve")


async def test_a_rollback_waits_for_the_replicas_and_says_which_followed(
    cli: Cli, broker: str, names: list[str]
) -> None:
    await cli.run("route", "set", "late", "--champion", names[0])
    started = await cli.read("rollout", "start", "late", names[1], "--skip-shadow", "--reason", "a test")
    assert started["state"] == "canary"
    await say_that_it_follows(broker, "fast", 1_000)
    await say_that_it_follows(broker, "slow", started["route_revision"])
    async with asyncio.timeout(30):
        while len((await cli.read("route", "show", "late"))["followers"]) < 2:
            pass
    told = await cli.run("rollback", "late", "--reason", "a test", "--wait", "0.2")
    assert told.exit_code == 1
    assert f"{names[0]} is champion of late again" in " ".join(told.stdout.split())
    assert "slow did not follow within 0.2 s" in " ".join(told.stderr.split())
    assert (await cli.read("rollout", "show", "late"))["state"] == "aborted"


async def test_the_audit_holds_and_names_who_did_what(cli: Cli, names: list[str]) -> None:
    assert names
    assert "The audit is whole" in await cli.show("audit", "verify")
    done = {(one["actor"], one["action"]) for one in await cli.read("audit", "list", "--model", "late")}
    assert ("bob", "version.approved") in done


async def say_that_it_follows(broker: str, replica: str, revision: int) -> None:
    said = RouteFollowed(
        replica=replica,
        role="serve",
        model="late",
        revision=revision,
        serving_revision=revision,
        uptake=RouteUptake.ROUTE_UPTAKE_FOLLOWED,
        beat_seconds=60,
    )
    said.followed_at.GetCurrentTime()
    async with KafkaPublisher(broker, client_id="test") as publisher:
        await publisher.publish(
            ROUTES_FOLLOWED.name, event(said, f"{replica}/late", said.followed_at.ToMicroseconds())
        )


def event(message: Message, key: str, time_us: int = 0) -> Event:
    return Event.of(message, id=key, source="test", key=key, time_us=time_us, recorded_time_us=time_us)
