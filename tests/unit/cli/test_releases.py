"""Approving, rolling out and rolling back by the command line, over the API it was made for."""

import asyncio
import dataclasses
from typing import Any

import pytest
from bus.events import Event
from bus.received import Received
from control_plane import handlers
from control_plane.domain.comparisons import Comparison, Verdict
from control_plane.domain.governing import RetrainRequest
from control_plane.domain.versions import Evaluation, Gate, Provenance
from control_plane.testing import package_facts
from tidemark.registry.v1.route_pb2 import RouteFollowed, RouteUptake
from tidemark_cli.testing import Cli

DAY_US = 86_400_000_000
EVALUATION = Evaluation("slice", "carrier=UA", 900, {"log_loss": 0.41}, {"log_loss": 0.43})


async def register(served: Any, name: str, *gates: Gate) -> str:
    """Registers a version as the trainer does, on behalf of `trainer`."""
    claim = served.packages.put(package_facts(name=name))
    provenance = Provenance("trainer", "ann", "high", "", gates, (EVALUATION,))
    await handlers.register(
        dataclasses.replace(claim, provenance=provenance),
        registry=served.registry,
        packages=served.packages,
        now_us=DAY_US,
    )
    return f"version:late:{name}"


async def follow(served: Any, replica: str, revision: int, role: str = "serve") -> None:
    """Says what a replica would say."""
    said = RouteFollowed(
        replica=replica,
        role=role,
        model="late",
        revision=revision,
        serving_revision=revision,
        uptake=RouteUptake.ROUTE_UPTAKE_FOLLOWED,
    )
    key, now_us = f"{replica}/late", served.clock()
    said.followed_at.FromMicroseconds(now_us)
    event = Event.of(said, id=key, source="test", key=key, time_us=now_us, recorded_time_us=now_us)
    await served.followers.on_event(Received("routes.followed", 0, 0, event))


@pytest.fixture
async def champion(served: Any, cli: Cli) -> str:
    """The version that answers."""
    await register(served, "v1")
    await cli.show("approve", "v1")
    await cli.show("route", "set", "late", "--champion", "v1")
    return "v1"


async def test_what_waits_is_listed_approved_and_kept(served: Any, cli: Cli) -> None:
    approval_id = await register(served, "v1", Gate("latency", passed=True))
    [waiting] = await cli.read("approvals", "list", "--pending")
    assert (waiting["approval_id"], waiting["state"]) == (approval_id, "pending")
    assert f"pending {approval_id} 1970-01-02T00:00:00Z trainer passed all 1 gates" in await cli.show(
        "approvals", "list"
    )
    assert await cli.show("approve", "v1", "--comment", "fine") == f"{approval_id} is approved."
    assert await cli.show("approvals", "list", "--pending") == "Nothing waits for a decision."
    assert f"approved {approval_id} 1970-01-02T00:00:00Z trainer ada fine" in await cli.show(
        "approvals", "list", "--model", "late"
    )
    assert await cli.read("approvals", "list", "--model", "other") == []
    assert "was approved by ada" in await cli.refused("approve", "v1")


async def test_an_approval_shows_gates_and_the_champion_beside_the_version(served: Any, cli: Cli) -> None:
    await register(served, "v1", Gate("latency", passed=False, reason="9 ms.", value=9.0, threshold=5.0))
    told = await cli.show("approvals", "show", "v1")
    assert "latency no 9 ms. 9 5" in told
    assert "slice carrier=UA 900 0.41 (champion 0.43)" in told
    assert "owner ann risk high" in told


async def test_a_failed_gate_is_waived_with_a_reason_or_the_version_rejected(served: Any, cli: Cli) -> None:
    await register(served, "v1", Gate("latency", passed=False, reason="9 ms."))
    refused = await cli.refused("approve", "v1")
    assert "failed 1 gate(s) (latency: 9 ms.)" in refused
    assert "`tidemark approve version:late:v1 --waive-gate latency --comment WHY`" in refused
    assert "needs a reason" in await cli.refused("approve", "v1", "--waive-gate", "latency")
    assert "approved" in await cli.show("approve", "v1", "--waive-gate", "latency", "--comment", "a test")
    await register(served, "v2")
    assert await cli.show("reject", "v2", "--comment", "no need") == "version:late:v2 is rejected."
    shown = await cli.read("models", "show", "late", "v1")
    assert shown["approval"]["waived_gates"] == ["latency"]
    assert "approval state approved decided_by ada" in await cli.show("models", "show", "late", "v1")
    assert "v1 approved" in await cli.show("models", "versions", "late")


async def test_nobody_approves_what_they_registered(served: Any, cli: Cli) -> None:
    await register(served, "v1")
    assert "somebody else has to approve it" in await cli.refused("approve", "v1", "--as", "trainer")


async def test_a_name_that_could_be_several_is_the_one_that_waits(served: Any, cli: Cli) -> None:
    for name in ("boosting-1", "boosting-2"):
        await register(served, name)
    assert "say more of the name" in await cli.refused("approve", "boosting")
    assert await cli.show("approve", "boosting-1") == "version:late:boosting-1 is approved."
    assert await cli.show("approve", "boosting") == "version:late:boosting-2 is approved."
    assert "there is no approval 'nope'" in await cli.refused("approve", "nope")


async def test_a_retraining_shows_what_drifted(served: Any, cli: Cli, champion: str) -> None:
    assert champion
    details = {
        "policy": "drift",
        "reason": "wind moved.",
        "evidence": [
            {"subject": "wind_mph", "statistic": "psi", "before": 0.01, "now": 0.62, "rows": "6543"}
        ],
    }
    request = RetrainRequest("late:drift:2013-06-17T00:00:00Z", "late", "drift", DAY_US, 9 * DAY_US, details)
    await handlers.on_retrain_requested(request, registry=served.registry, now_us=DAY_US)
    told = await cli.show("approvals", "show", "late:drift")
    assert "wind_mph psi 0.01 0.62 6543" in told
    assert "expires at 1970-01-10T00:00:00Z" in told
    approved = await cli.show("approve", "retrain:late:drift:2013-06-17T00:00:00Z")
    assert approved == "retrain:late:drift:2013-06-17T00:00:00Z is approved."


async def test_an_unapproved_version_is_not_rolled_out(served: Any, cli: Cli, champion: str) -> None:
    assert champion
    await register(served, "v2")
    told = await cli.refused("rollout", "start", "late", "v2")
    assert "Decide on version:late:v2 first" in told


async def test_a_rollout_is_started_shown_and_aborted(served: Any, cli: Cli, champion: str) -> None:
    await register(served, "v2")
    await cli.show("approve", "v2")
    assert "had no rollout yet" in await cli.show("rollout", "list", "late")
    assert "had no rollout yet" in await cli.refused("rollout", "show", "late")
    plan = ("--shadow-windows", "2", "--step-windows", "3", "--guard-windows", "4", "--steps", "1,12.5")
    started = await cli.read("rollout", "start", "late", "v2", *plan, "--reason", "spring")
    assert started["plan"] == {
        "shadow_windows": 2,
        "canary_basis_points": [100, 1250],
        "step_windows": 3,
        "guard_windows": 4,
        "skip_shadow": False,
        "unjudged": False,
    }
    assert (started["state"], started["previous"], started["started_by"]) == ("shadow", champion, "ada")
    assert "is in SHADOW" in await cli.refused("route", "set", "late", "--champion", "v2")
    assert f"shadow {started['rollout_id']} v2 0 %" in await cli.show("rollout", "list", "late")
    assert await cli.read("rollout", "show", "late", started["rollout_id"]) == started
    told = await cli.show("rollout", "abort", "late", "--reason", "too early")
    assert "state aborted" in told
    assert "no rollout of late runs" in await cli.refused("rollout", "abort", "late")
    watched = await cli.run("rollout", "show", "late", "--watch")
    assert watched.exit_code == 1
    assert " ".join(watched.stdout.split()).endswith("aborted 0 % too early")


async def test_arms_and_segments_are_set_shown_and_exclude_a_rollout(
    served: Any, cli: Cli, champion: str
) -> None:
    await register(served, "v2")
    await cli.show("approve", "v2")
    segment = "jfk: b=v2:100 if entity.origin=JFK and input.distance=500..2000"
    options = ("--arm", "b=v2:25", "--segment", segment, "--sticky", "origin")
    await cli.show("route", "set", "late", "--champion", champion, *options)
    told = await cli.show("route", "show", "late")
    assert "v1 75 % (champion), v2 25 % (b)" in told
    assert "jfk: v2 100 % (b) if entity.origin=JFK and input.distance=500..2000" in told
    assert "1 segment" in await cli.show("route", "history", "late")
    assert "arm b, segment jfk" in await cli.refused("rollout", "start", "late", "v2")
    assert "v1 is champion of late again" in await cli.show("rollback", "late", "--reason", "b is wrong")
    assert "v2" not in await cli.show("route", "show", "late")


async def test_skipping_the_shadow_shows_a_canary_in_the_route(served: Any, cli: Cli, champion: str) -> None:
    await register(served, "v2")
    await cli.show("approve", "v2")
    assert "wants a --reason" in await cli.refused(
        "rollout", "start", "late", "v2", "--skip-shadow", exit_code=2
    )
    await cli.show("rollout", "start", "late", "v2", "--skip-shadow", "--steps", "5", "--reason", "urgent")
    await follow(served, "replica-1", 1)
    told = await cli.show("route", "show", "late")
    assert f"arms {champion} 95 % (champion), v2 5 % (canary)" in told
    assert "replica-1 serve 1 not yet" in told


async def test_watching_a_rollout_says_each_move_until_it_ends(
    served: Any, cli: Cli, champion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemark_cli.rollouts._LOOK_SECONDS", 0.01)
    await register(served, "v2")
    await cli.show("approve", "v2")
    await cli.show("rollout", "start", "late", "v2", "--shadow-windows", "1")
    watching = asyncio.create_task(cli.run("rollout", "show", "late", "--watch"))
    for day, verdict in ((9, Verdict.EQUIVALENT), (10, Verdict.WORSE)):
        seen = Comparison(
            model="late",
            champion=champion,
            challenger="v2",
            window_start_us=day * DAY_US,
            window_end_us=(day + 1) * DAY_US,
            revision=1,
            provisional=False,
            verdict=verdict,
            reason="It is so.",
            watermark_us=(day + 1) * DAY_US,
        )
        await handlers.on_variants_compared(seen, registry=served.registry, now_us=0)
    watched = await watching
    assert watched.exit_code == 1
    assert watched.stdout.splitlines()[-1].startswith("1970-01-12")
    assert "aborted" in watched.stdout.splitlines()[-1]


async def test_a_rollback_says_which_version_came_back_and_who_followed(
    served: Any, cli: Cli, champion: str
) -> None:
    await register(served, "v2")
    await cli.show("approve", "v2")
    await cli.show("route", "set", "late", "--champion", "v2")
    await follow(served, "replica-1", 3)
    await follow(served, "replica-2", 2)
    refused = await cli.run("rollback", "late", "--reason", "worse", "--wait", "0.05")
    told = " ".join(refused.stdout.split())
    assert refused.exit_code == 1
    assert f"{champion} is champion of late again, by revision 3." in told
    assert "replica-2 serve 2 not yet" in told
    assert "replica-2 did not follow within 0.05 s" in " ".join(refused.stderr.split())
    assert "was not rolled back from" in await cli.refused("rollback", "late", "--reason", "again")


async def test_a_rollback_of_a_rollout_aborts_it(served: Any, cli: Cli, champion: str) -> None:
    await register(served, "v2")
    await cli.show("approve", "v2")
    await cli.show("rollout", "start", "late", "v2")
    await follow(served, "replica-1", 99)
    await follow(served, "replica-2", 1, role="shadow")
    back = await cli.read("rollback", "late", "--reason", "enough")
    assert (back["champion"]["version"], back["missing"], back["complete"]) == (champion, [], True)
    assert back["followed_after_ms"] is not None
    assert (await cli.read("rollout", "show", "late"))["state"] == "aborted"


async def test_the_audit_tells_who_did_what_and_holds(served: Any, cli: Cli, champion: str) -> None:
    listed = await cli.read("audit", "list")
    assert [(one["actor"], one["action"]) for one in listed] == [
        ("trainer", "version.registered"),
        ("ada", "version.approved"),
        ("ada", "route.set"),
    ]
    assert [one["sequence"] for one in await cli.read("audit", "list", "--limit", "1")] == [3]
    assert await cli.read("audit", "list", "--model", "other") == []
    assert f"ada route.set late 1 champion {champion}" in await cli.show("audit", "list")
    assert "The audit is whole: 3 links" in await cli.show("audit", "verify")
    served.registry._links[1] = dataclasses.replace(served.registry._links[1], actor="mallory")
    broken = await cli.run("audit", "verify")
    assert (broken.exit_code, broken.stdout) == (1, "")
    assert "the audit is broken at link 2" in " ".join(broken.stderr.split())
    assert (await cli.run("audit", "verify", "--json")).exit_code == 1
