"""Approvals, rollouts, the way back and the audit over REST."""

from typing import Any

import httpx
import pytest
from bus.errors import Unavailable
from bus.events import Event
from bus.received import Received
from bus.topics import (
    ALERTS_CHANGED,
    APPROVALS_DECIDED,
    MODELS_REGISTERED,
    MONITORS_MEASURED,
    RETRAIN_REQUESTED,
    ROLLOUTS_CHANGED,
    ROUTES_CHANGED,
    VARIANTS_COMPARED,
)
from control_plane.adapters.following import Followers
from control_plane.adapters.kafka import Inbox
from control_plane.adapters.memory import MemoryOutbox, MemoryRegistry
from control_plane.domain.versions import Gate, Provenance
from control_plane.testing import MemoryPackages, keep, package_facts, version
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from tidemark.governance.v1.approval_pb2 import DECISION_APPROVED, SUBJECT_KIND_RETRAIN, ApprovalDecided
from tidemark.monitoring.v1.alert_pb2 import (
    ALERT_STATE_FIRING,
    ALERT_STATE_RESOLVED,
    ALERT_TYPE_ROLLOUT_ABORTED,
    AlertChanged,
)
from tidemark.monitoring.v1.monitor_pb2 import MonitorKind, MonitorMeasured
from tidemark.monitoring.v1.variants_pb2 import (
    VERDICT_BETTER,
    VERDICT_WORSE,
    BinaryMetrics,
    VariantsCompared,
)
from tidemark.registry.v1.model_pb2 import GateResult, ModelRegistered
from tidemark.registry.v1.rollout_pb2 import ROLLOUT_STATE_CANARY, RolloutChanged
from tidemark.registry.v1.route_pb2 import ROUTE_UPTAKE_FOLLOWED, RouteChanged, RouteFollowed
from tidemark.retraining.v1.retrain_pb2 import RetrainRequested
from tidemark.scoring.v1.prediction_pb2 import ROLE_CHALLENGER, ROLE_CHAMPION

MODEL = "/v1/models/late"
DAY = 86_400
BO = {"Tidemark-Actor": "bo"}
NOW_S = 1_357_020_000
PLAN = {"shadow_windows": 1, "canary_basis_points": [100], "step_windows": 1, "guard_windows": 1}


@pytest.fixture
async def inbox(registry: MemoryRegistry, packages: MemoryPackages) -> Inbox:
    async def settled() -> None:
        """Nothing is ever under way to the bus."""

    for name in ("old", "new", "fresh", "failed", "other"):
        gates = (Gate("latency", passed=name != "failed", reason="9 ms against 2 ms"),)
        provenance = Provenance(registered_by="trainer", owner="flights", gates=gates)
        contract = {"contract": "f" * 64} if name == "other" else {}
        one = version(name, provenance=provenance, **contract)
        packages.held[one.digest] = package_facts(name=name, **contract)
        await keep(registry, one)
    return Inbox(registry=registry, packages=packages, clock=lambda: NOW_S * 1_000_000, settled=settled)


async def receive(inbox: Inbox, topic: str, message: Message, *, at_day: float = 0) -> list[str]:
    """Takes one event; returns the reasons of rejections."""
    time_us = round(at_day * DAY * 1_000_000)
    event = Event.of(message, id="1", source="test", key="late", time_us=time_us, recorded_time_us=time_us)
    return [rejection.reason for rejection in await inbox([Received(topic, 0, 0, event)])]


def days(number: float) -> Timestamp:
    return Timestamp(seconds=round(number * DAY))


async def compare(
    inbox: Inbox, day: int, verdict: Any, *, champion: str = "old", challenger: str = "new"
) -> None:
    message = VariantsCompared(
        model="late",
        window_start=days(day),
        window_end=days(day + 1),
        champion=BinaryMetrics(version=champion, labelled=900, log_loss=0.4),
        challenger=BinaryMetrics(version=challenger, labelled=900, log_loss=0.6),
        verdict=verdict,
        reason="0.2 nats over 900 pairs.",
        paired=1000,
    )
    assert await receive(inbox, VARIANTS_COMPARED.name, message, at_day=day + 3) == []


def told(outbox: MemoryOutbox, topic: str) -> list[Event]:
    return [pending.event for pending in outbox.events if pending.topic == topic]


async def get(client: httpx.AsyncClient, path: str) -> Any:
    reply = await client.get(path)
    assert reply.status_code == 200, reply.text
    return reply.json()


def refused(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["type"].removeprefix("urn:tidemark:problem:")


async def roll_out(client: httpx.AsyncClient, name: str = "new", **plan: Any) -> dict[str, Any]:
    reply = await client.post(f"{MODEL}/rollouts", json={"version": name, "plan": PLAN | plan})
    assert reply.status_code == 201, reply.text
    body: dict[str, Any] = reply.json()
    return body


@pytest.fixture
async def routed(client: httpx.AsyncClient, inbox: Inbox) -> Inbox:
    """The version old serves."""
    assert (await client.put(f"{MODEL}/route", json={"champion": "old"})).status_code == 201
    return inbox


@pytest.mark.usefixtures("routed")
async def test_a_change_without_an_actor_is_refused(client: httpx.AsyncClient) -> None:
    for actor in ("", "system:rollout-controller", "x" * 129):
        reply = await client.post(f"{MODEL}/rollback", json={}, headers={"Tidemark-Actor": actor})
        assert refused(reply) == (401, "actor-required")
        assert reply.headers["www-authenticate"] == "Tidemark-Actor"


async def test_a_registered_version_waits_for_somebody_elses_word(
    client: httpx.AsyncClient, packages: MemoryPackages, outbox: MemoryOutbox
) -> None:
    claim = packages.put(package_facts(name="a"))
    body = {"digest": claim.digest, "package_uri": claim.package_uri}
    made = (await client.post(f"{MODEL}/versions", json=body)).json()
    assert (made["stage"], made["registered_by"], made["gates"]) == ("registered", "ada", [])
    [pending] = (await get(client, "/v1/approvals?state=pending"))["items"]
    assert (pending["approval_id"], pending["reason"]) == ("version:late:a", "held to no gate")
    path = f"/v1/approvals/{pending['approval_id']}/decision"
    assert refused(await client.put(f"{MODEL}/route", json={"champion": "a"})) == (422, "route-refused")
    assert refused(await client.post(path, json={"decision": "approve"})) == (403, "own-version")
    done = await client.post(path, json={"decision": "approve", "comment": "good"}, headers=BO)
    assert (done.json()["state"], done.json()["version"]["stage"]) == ("approved", "approved")
    assert refused(await client.post(path, json={"decision": "reject"}, headers=BO)) == (
        409,
        "already-decided",
    )
    [event] = told(outbox, APPROVALS_DECIDED.name)
    decided = ApprovalDecided.FromString(event.data)
    assert (decided.decided_by, decided.subject_id, decided.comment) == ("bo", "a", "good")
    assert (await client.put(f"{MODEL}/route", json={"champion": "a"})).status_code == 201
    assert (await get(client, f"{MODEL}/versions/a"))["stage"] == "champion"


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"decision": "approve"}, 409, "gates-failed"),
        ({"decision": "approve", "waive_gates": ["latency"]}, 422, "comment-required"),
        ({"decision": "approve", "waive_gates": ["speed"], "comment": "x"}, 422, "unknown-gate"),
        ({"decision": "reject"}, 422, "comment-required"),
        ({"decision": "reject", "waive_gates": ["latency"], "comment": "x"}, 422, "invalid-request"),
        ({"decision": "maybe"}, 422, "invalid-request"),
    ],
)
async def test_a_decision_that_may_not_be_is_refused(
    client: httpx.AsyncClient, inbox: Inbox, body: dict[str, Any], status: int, kind: str
) -> None:
    gate = {"gate": "latency", "passed": False, "reason": "9 ms against 2 ms"}
    await register(inbox, "bad", gate)
    reply = await client.post("/v1/approvals/version:late:bad/decision", json=body)
    assert refused(reply) == (status, kind)
    if kind == "gates-failed":
        assert reply.json()["gates"] == ["latency"]
        assert '"waive_gates": ["latency"]' in reply.json()["detail"]
    assert (await get(client, "/v1/approvals/version:late:bad"))["state"] == "pending"


async def register(inbox: Inbox, name: str, gate: dict[str, Any]) -> None:
    packages: MemoryPackages = inbox._packages  # type: ignore[assignment]
    claim = packages.put(package_facts(name=name))
    message = ModelRegistered(
        model="late",
        version=name,
        digest=claim.digest,
        package_uri=claim.package_uri,
        registered_by="trainer",
        risk="medium",
        gates=[GateResult(**gate)],
    )
    assert await receive(inbox, MODELS_REGISTERED.name, message) == []


async def test_a_waived_gate_stays_in_the_audit(client: httpx.AsyncClient, inbox: Inbox) -> None:
    await register(inbox, "bad", {"gate": "latency", "passed": False})
    body = {"decision": "approve", "waive_gates": ["latency"], "comment": "a drill"}
    done = (await client.post("/v1/approvals/version:late:bad/decision", json=body)).json()
    assert (done["waived_gates"], done["version"]["risk"]) == (["latency"], "medium")
    audit = (await get(client, "/v1/audit"))["items"]
    assert [(link["action"], link["actor"]) for link in audit] == [
        ("version.registered", "trainer"),
        ("gate.waived", "ada"),
        ("version.approved", "ada"),
    ]
    assert audit[1]["details"] == {"comment": "a drill", "gate": "latency"}
    verified = await get(client, "/v1/audit/verify")
    assert (verified["verified"], verified["links"]) == (True, 3)


def wish(*, expires: float = 10) -> RetrainRequested:
    return RetrainRequested(
        request_id="late:drift:2013-06-17",
        model="late",
        policy="drift",
        reason="0.4 for three weeks.",
        champion="old",
        requested_at=days(5),
        expires_at=days(expires),
        new_labels=70_000,
    )


async def test_a_requested_retraining_waits_for_somebodys_word(
    client: httpx.AsyncClient, inbox: Inbox, outbox: MemoryOutbox
) -> None:
    for _ in range(2):
        assert await receive(inbox, RETRAIN_REQUESTED.name, wish()) == []
    [pending] = (await get(client, "/v1/approvals?model=late"))["items"]
    assert (pending["subject"], pending["requested_by"]) == ("retrain", "drift")
    assert pending["requested_at"] == "1970-01-06T00:00:00Z"
    path = "/v1/approvals/retrain:late:drift:2013-06-17"
    assert (await get(client, path))["request"]["new_labels"] == "70000"
    assert (await client.post(f"{path}/decision", json={"decision": "approve"})).status_code == 200
    [event] = told(outbox, APPROVALS_DECIDED.name)
    decided = ApprovalDecided.FromString(event.data)
    assert (decided.kind, decided.decision) == (SUBJECT_KIND_RETRAIN, DECISION_APPROVED)
    assert decided.subject_id == "late:drift:2013-06-17"
    assert event.time_us == 5 * DAY * 1_000_000, "decided in event time, as far as it is known"


async def test_what_nobody_decides_expires_in_event_time(client: httpx.AsyncClient, inbox: Inbox) -> None:
    await receive(inbox, RETRAIN_REQUESTED.name, wish())
    path = "/v1/approvals/retrain:late:drift:2013-06-17"
    of_the_store = MonitorMeasured(
        model="late", monitor="served", kind=MonitorKind.MONITOR_KIND_CONSISTENCY, window_end=days(100)
    )
    assert await receive(inbox, MONITORS_MEASURED.name, of_the_store) == []
    assert (await get(client, path))["state"] == "pending", "told when the lake has come, it moves no time"
    for day, state in ((9, "pending"), (11, "expired"), (12, "expired")):
        measured = MonitorMeasured(model="late", monitor="quality", window_end=days(day))
        assert await receive(inbox, MONITORS_MEASURED.name, measured) == []
        assert (await get(client, path))["state"] == state
    reply = await client.post(f"{path}/decision", json={"decision": "approve"})
    assert refused(reply) == (409, "approval-expired")
    audit = (await get(client, "/v1/audit"))["items"]
    assert [link["action"] for link in audit] == ["retrain.requested", "retrain.expired"]


async def test_what_is_not_known_here_is_a_dead_letter_or_nothing(inbox: Inbox) -> None:
    strange = RetrainRequested(request_id="x", model="strange")
    assert await receive(inbox, RETRAIN_REQUESTED.name, strange) == ["UNKNOWN_MODEL"]
    assert await receive(inbox, RETRAIN_REQUESTED.name, RetrainRequested(model="late")) == ["MISSING_FIELD"]
    assert await receive(inbox, VARIANTS_COMPARED.name, VariantsCompared(model="late")) == ["MISSING_FIELD"]
    elsewhere = MonitorMeasured(model="strange", window_end=days(1))
    assert await receive(inbox, MONITORS_MEASURED.name, elsewhere) == []


async def test_a_version_takes_over_step_by_step(
    client: httpx.AsyncClient, routed: Inbox, outbox: MemoryOutbox
) -> None:
    rollout = await roll_out(client)
    assert (rollout["rollout_id"], rollout["state"], rollout["started_by"]) == ("late-r1", "shadow", "ada")
    await compare(routed, 0, VERDICT_BETTER)
    canary = await get(client, f"{MODEL}/rollouts/late-r1")
    assert (canary["state"], canary["weight_basis_points"], canary["windows_needed"]) == ("canary", 100, 1)
    route = await get(client, f"{MODEL}/route")
    assert [(arm["variant"], arm["weight_basis_points"]) for arm in route["arms"]] == [
        ("champion", 9900),
        ("canary", 100),
    ]
    assert [shadow["version"] for shadow in route["shadows"]] == ["old", "new"]
    assert route["salt"] == "late-r1"
    wire = RouteChanged.FromString(told(outbox, ROUTES_CHANGED.name)[-1].data)
    assert [arm.role for arm in wire.arms] == [ROLE_CHAMPION, ROLE_CHALLENGER]
    assert wire.salt == "late-r1"
    await compare(routed, 3, VERDICT_BETTER)
    assert (await get(client, f"{MODEL}/versions/new"))["stage"] == "champion"
    await compare(routed, 6, VERDICT_WORSE, champion="new", challenger="old")
    done = await get(client, f"{MODEL}/rollouts/late-r1")
    assert (done["state"], [move["state"] for move in done["moves"]]) == (
        "completed",
        ["shadow", "canary", "guard", "completed"],
    )
    assert (await get(client, f"{MODEL}/versions/old"))["stage"] == "shadow"
    moves = [RolloutChanged.FromString(event.data) for event in told(outbox, ROLLOUTS_CHANGED.name)]
    assert [move.revision for move in moves] == [1, 2, 3, 4]
    assert (moves[1].state, moves[1].route_revision) == (ROLLOUT_STATE_CANARY, 3)
    assert moves[1].changed_at == days(3), "event time"


async def test_an_abort_raises_an_alert_that_ends_with_the_next_rollout(
    client: httpx.AsyncClient, routed: Inbox, outbox: MemoryOutbox
) -> None:
    await roll_out(client)
    await compare(routed, 0, VERDICT_WORSE)
    assert (await get(client, f"{MODEL}/versions/new"))["stage"] == "retired"
    [event] = told(outbox, ALERTS_CHANGED.name)
    alert = AlertChanged.FromString(event.data)
    assert (alert.type, alert.state, alert.episode) == (ALERT_TYPE_ROLLOUT_ABORTED, ALERT_STATE_FIRING, 1)
    assert (alert.fingerprint, event.key) == ("late:rollout-aborted", b"late:rollout-aborted")
    assert (alert.owner, alert.runbook) == ("flights", "docs/runbooks/rollout-aborted.md")
    assert (alert.evidence[0].statistic, alert.evidence[0].before, alert.evidence[0].now) == (
        "log_loss",
        0.4,
        0.6,
    )
    await roll_out(client, "fresh")
    ended = AlertChanged.FromString(told(outbox, ALERTS_CHANGED.name)[-1].data)
    assert (ended.state, ended.episode, ended.revision) == (ALERT_STATE_RESOLVED, 1, 1)
    await compare(routed, 4, VERDICT_WORSE, challenger="fresh")
    again = AlertChanged.FromString(told(outbox, ALERTS_CHANGED.name)[-1].data)
    assert (again.state, again.episode, again.revision) == (ALERT_STATE_FIRING, 2, 0)


@pytest.mark.usefixtures("routed")
async def test_an_operators_abort_raises_no_alert(client: httpx.AsyncClient, outbox: MemoryOutbox) -> None:
    await roll_out(client)
    reply = await client.post(f"{MODEL}/rollouts/late-r1/abort", json={"reason": "a slow canary"})
    assert (reply.json()["state"], reply.json()["reason"]) == ("aborted", "a slow canary")
    assert told(outbox, ALERTS_CHANGED.name) == []
    again = await client.post(f"{MODEL}/rollouts/late-r1/abort", json={})
    assert refused(again) == (409, "rollout-ended")


@pytest.mark.parametrize(
    ("name", "plan", "status", "kind"),
    [
        ("nobody", {}, 404, "unknown-version"),
        ("old", {}, 422, "route-refused"),
        ("other", {}, 422, "route-refused"),
        ("new", {"skip_shadow": True}, 422, "comment-required"),
        ("new", {"unjudged": True}, 422, "comment-required"),
        ("new", {"canary_basis_points": [500, 100]}, 422, "invalid-request"),
        ("new", {"canary_basis_points": []}, 422, "invalid-request"),
        ("new", {"canary_basis_points": [10_000]}, 422, "invalid-request"),
        ("new", {"shadow_windows": 0}, 422, "invalid-request"),
        ("new", {"windows": 1}, 422, "invalid-request"),
    ],
)
@pytest.mark.usefixtures("routed")
async def test_a_rollout_that_cannot_be_is_refused(
    client: httpx.AsyncClient, name: str, plan: dict[str, Any], status: int, kind: str
) -> None:
    reply = await client.post(f"{MODEL}/rollouts", json={"version": name, "plan": PLAN | plan})
    assert refused(reply) == (status, kind)
    assert (await get(client, f"{MODEL}/rollouts"))["items"] == []


async def test_an_unapproved_version_is_not_rolled_out(client: httpx.AsyncClient, routed: Inbox) -> None:
    await register(routed, "unseen", {"gate": "latency", "passed": True})
    reply = await client.post(f"{MODEL}/rollouts", json={"version": "unseen"})
    assert (*refused(reply), reply.json()["reason"]) == (422, "route-refused", "NOT_APPROVED")


@pytest.mark.usefixtures("routed")
async def test_of_two_operators_the_second_is_told_what_has_changed(client: httpx.AsyncClient) -> None:
    await roll_out(client)
    for reply in (
        await client.post(f"{MODEL}/rollouts", json={"version": "fresh"}, headers=BO),
        await client.put(f"{MODEL}/route", json={"champion": "fresh"}, headers=BO),
    ):
        assert refused(reply) == (409, "rollout-in-progress")
        assert "late-r1 of new by ada is in SHADOW" in reply.json()["detail"]


@pytest.mark.usefixtures("routed")
async def test_the_champion_before_comes_back_and_never_forth(client: httpx.AsyncClient) -> None:
    for champion in ("new", "fresh"):
        await client.put(f"{MODEL}/route", json={"champion": champion})
    for expected in ("new", "old"):
        reply = await client.post(f"{MODEL}/rollback", json={"reason": "wrong about UA"})
        assert (reply.status_code, reply.json()["champion"]["version"]) == (200, expected)
    reply = await client.post(f"{MODEL}/rollback", json={})
    assert refused(reply) == (409, "nothing-to-roll-back-to")
    assert (await get(client, f"{MODEL}/versions/fresh"))["stage"] == "retired"


async def test_a_rollback_ends_a_running_rollout(client: httpx.AsyncClient, routed: Inbox) -> None:
    await roll_out(client)
    await compare(routed, 0, VERDICT_BETTER)
    reply = (await client.post(f"{MODEL}/rollback", json={"reason": "no"})).json()
    assert (reply["champion"]["version"], reply["withdrawn"], reply["rollout_id"]) == (
        "old",
        "new",
        "late-r1",
    )
    assert [arm["weight_basis_points"] for arm in reply["arms"]] == [10_000]
    ended = await get(client, f"{MODEL}/rollouts/late-r1")
    assert (ended["state"], ended["reason"]) == ("aborted", "rolled back: no")


async def hear(followers: Followers, replica: str, revision: int, *, age_s: int = 0, **said: Any) -> None:
    message = RouteFollowed(
        replica=replica,
        role="serve",
        model="late",
        revision=revision,
        serving_revision=revision,
        uptake=ROUTE_UPTAKE_FOLLOWED,
        beat_seconds=5,
        followed_at=Timestamp(seconds=NOW_S),
    )
    message.MergeFrom(RouteFollowed(**said))
    at_us = (NOW_S - age_s) * 1_000_000
    event = Event.of(message, id="1", source="test", key=replica, time_us=at_us, recorded_time_us=at_us)
    await followers.on_event(Received("followed", 0, 0, event))


@pytest.mark.usefixtures("routed")
async def test_live_replicas_are_listed_with_what_they_follow(
    client: httpx.AsyncClient, followers: Followers
) -> None:
    await hear(followers, "one", 1)
    await hear(followers, "silent", 1, age_s=16)
    await hear(followers, "slow", 0, age_s=15, reason="NO_PACKAGE")
    await hear(followers, "gone", 1, uptake=3)
    await hear(followers, "elsewhere", 1, model="other")
    items = (await get(client, f"{MODEL}/route/followers"))["items"]
    assert [(item["replica"], item["serving_revision"], item["age_seconds"]) for item in items] == [
        ("one", 1, 0),
        ("slow", 0, 15),
    ]
    assert items[1]["reason"] == "NO_PACKAGE"


@pytest.mark.usefixtures("routed")
async def test_a_rollback_says_who_follows_it(client: httpx.AsyncClient, followers: Followers) -> None:
    await client.put(f"{MODEL}/route", json={"champion": "new"})
    await hear(followers, "one", 3)
    await hear(followers, "two", 2)
    reply = (await client.post(f"{MODEL}/rollback", json={"wait_s": 0})).json()
    assert (reply["revision"], reply["complete"]) == (3, False)
    assert [item["followed_after_ms"] for item in reply["replicas"]] == [0, None]
    await hear(followers, "two", 3)
    assert await followers.followed("late", 3, timeout_s=1)


@pytest.mark.usefixtures("routed")
async def test_who_answers_events_by_a_route_is_waited_for_and_a_shadow_is_not(
    client: httpx.AsyncClient, followers: Followers
) -> None:
    await client.put(f"{MODEL}/route", json={"champion": "new"})
    await hear(followers, "streaming", 2, role="stream")
    await hear(followers, "shadowing", 2, role="shadow")
    reply = (await client.post(f"{MODEL}/rollback", json={"wait_s": 0})).json()
    assert (reply["revision"], reply["complete"]) == (3, False)
    await hear(followers, "streaming", 3, role="stream")
    assert await followers.followed("late", 3, timeout_s=1)


@pytest.mark.usefixtures("routed")
async def test_whoever_beats_is_live_however_long_ago_it_took_the_route_up(
    client: httpx.AsyncClient, followers: Followers
) -> None:
    await client.put(f"{MODEL}/route", json={"champion": "new"})
    await hear(followers, "one", 2, followed_at=Timestamp(seconds=NOW_S - 3_600))
    reply = (await client.post(f"{MODEL}/rollback", json={"wait_s": 0})).json()
    assert (reply["complete"], [one["replica"] for one in reply["replicas"]]) == (False, ["one"])


async def test_a_beat_does_not_make_it_later_that_a_replica_followed() -> None:
    now_us = NOW_S * 1_000_000
    followers = Followers(lambda: now_us)
    followers.go_live()
    await hear(followers, "one", 3)
    now_us += 2_000_000
    await hear(followers, "one", 3)
    (one,) = followers.of("late")
    assert (one.since_us, one.heard_at_us) == (NOW_S * 1_000_000, now_us)


async def test_a_replica_whose_clock_is_wrong_is_live_while_it_beats() -> None:
    followers = Followers(lambda: NOW_S * 1_000_000)
    await hear(followers, "before", 1, age_s=600)
    followers.go_live()
    await hear(followers, "slow", 1, age_s=600)
    assert [one.replica for one in followers.of("late")] == ["slow"]


async def test_who_has_spoken_and_was_not_heard_yet_is_waited_for() -> None:
    followers = Followers(lambda: NOW_S * 1_000_000)

    async def read_on() -> None:
        await hear(followers, "one", 1)

    followers.caught_up = read_on
    assert not await followers.followed("late", 2, timeout_s=0.01)

    async def away() -> None:
        raise Unavailable("no broker")

    followers.caught_up = away
    await hear(followers, "one", 2)
    assert not await followers.followed("late", 2, timeout_s=1)
