"""Arms and segments beside the champion: what is refused, what is announced, and what it excludes."""

from typing import Any

import httpx
import pytest
from bus.topics import ROUTES_CHANGED
from control_plane.adapters.announcements import route_changed
from control_plane.adapters.memory import MemoryOutbox, MemoryRegistry
from control_plane.adapters.sql.experiment_documents import of_experiment, to_experiment
from control_plane.domain.errors import ExperimentRunning, RouteRefused
from control_plane.domain.experiments import NO_EXPERIMENT, Condition, Experiment, Segment, Share
from control_plane.domain.releasing import RolloutRequest, roll_back, set_route, start
from control_plane.domain.rollouts import Plan
from control_plane.domain.routes import Route, RouteRequest, decide, stage_of
from control_plane.domain.state import ModelState
from control_plane.domain.versions import Stage, Standing
from control_plane.testing import MemoryPackages, keep, package_facts, version
from tidemark.registry.v1.route_pb2 import RouteChanged

A, B, C = version("a"), version("b"), version("c")
KNOWN = {one.version: one for one in (A, B, C, version("new", standing=Standing.UNDECIDED))}
JFK = Condition("entity", "origin", ("JFK",))
FAR = Condition("input", "distance", at_least=500.0)


def asked(*arms: Share, segments: tuple[Segment, ...] = (), champion: str = "a") -> Route:
    request = RouteRequest("late", champion, experiment=Experiment(arms, segments))
    return decide(request, current=None, versions=KNOWN, now_us=9)


def segment(
    name: str, *conditions: Condition, arms: tuple[Share, ...] = (Share("b", "b", 10_000),)
) -> Segment:
    return Segment(name, conditions, arms)


def state(route: Route) -> ModelState:
    return ModelState("late", 3, route=route, champions=("a",), versions=KNOWN)


def test_the_champion_answers_what_the_arms_leave() -> None:
    message = RouteChanged.FromString(
        route_changed(asked(Share("b", "b", 2_500), Share("green", "c", 0))).data
    )
    assert [(arm.variant, arm.version.version, arm.weight_basis_points) for arm in message.arms] == [
        ("champion", "a", 7_500),
        ("b", "b", 2_500),
        ("green", "c", 0),
    ]


def test_segments_are_announced_with_their_conditions_in_order() -> None:
    gift = Condition("input", "gift", (True,))
    route = asked(segments=(segment("jfk", JFK, FAR), segment("rest", gift)))
    message = RouteChanged.FromString(route_changed(route).data)
    first, second = message.segments
    assert (first.conditions[0].entity, first.conditions[0].any_of.values[0].text) == ("origin", "JFK")
    within = first.conditions[1].within
    assert (first.conditions[1].input, within.at_least, within.HasField("less_than")) == (
        "distance",
        500,
        False,
    )
    assert second.conditions[0].any_of.values[0].flag is True
    assert [arm.version.digest for arm in second.arms] == [B.digest]


@pytest.mark.parametrize(
    ("arms", "segments", "reason"),
    [
        ((Share("b", "b", 6_000), Share("c", "c", 6_000)), (), "BAD_SHARES"),
        ((Share("b", "b", -1),), (), "BAD_SHARES"),
        ((Share("b", "b", 1), Share("b", "c", 1)), (), "DUPLICATE_ARM"),
        ((Share("canary", "b", 1),), (), "DUPLICATE_ARM"),
        ((Share("b", "nobody", 1),), (), "UNKNOWN_VERSION"),
        ((Share("b", "new", 0),), (), "NOT_APPROVED"),
        ((), (segment("s", JFK, arms=(Share("b", "b", 9_999),)),), "BAD_SHARES"),
        ((), (segment("s", JFK, arms=(Share("b", "new", 10_000),)),), "NOT_APPROVED"),
        ((), (segment("s"),), "BAD_CONDITION"),
        ((), (segment("s", JFK, JFK),), "BAD_CONDITION"),
        ((), (segment("s", Condition("entity", "origin", ())),), "BAD_CONDITION"),
        ((), (segment("s", Condition("entity", "origin", at_least=1.0)),), "BAD_CONDITION"),
        ((), (segment("s", Condition("input", "x", ("a", 1.0))),), "BAD_CONDITION"),
        ((), (segment("s", Condition("input", "x", at_least=2.0, less_than=2.0)),), "BAD_CONDITION"),
        ((), (segment("s", Condition("input", "x")),), "BAD_CONDITION"),
        ((), (segment("s", JFK), segment("s", FAR)), "DUPLICATE_SEGMENT"),
        ((), (segment("s", JFK), segment("t", JFK, FAR)), "UNREACHABLE_SEGMENT"),
    ],
)
def test_an_experiment_that_makes_no_sense_is_refused_with_the_rule(
    arms: tuple[Share, ...], segments: tuple[Segment, ...], reason: str
) -> None:
    with pytest.raises(RouteRefused) as refused:
        asked(*arms, segments=segments)
    assert refused.value.reason == reason


def test_no_rollout_starts_while_an_experiment_runs() -> None:
    running = state(asked(Share("b", "b", 100), segments=(segment("jfk", JFK),)))
    with pytest.raises(ExperimentRunning, match="arm b, segment jfk"):
        start(running, RolloutRequest("c", Plan(), "ann"), now_us=10)


def test_a_rollback_ends_an_experiment_that_gives_requests_away() -> None:
    running = state(asked(Share("b", "b", 100)))
    change = roll_back(running, actor="ann", reason="b is wrong", now_us=10)
    assert change.route is not None
    assert (change.route.champion, change.route.experiment) == (A, NO_EXPERIMENT)
    assert not any(one.withdrawn for one in change.versions)
    assert change.entries[0].details["experiment"] == {"arms": {"b": {"version": "b", "basis_points": 100}}}


def test_blue_green_is_two_routes_and_a_rollback_goes_from_green_to_blue() -> None:
    warm = state(asked(Share("green", "b", 0)))
    switched = RouteRequest("late", "b", experiment=Experiment((Share("blue", "a", 0),)))
    green = set_route(warm, switched, actor="ann", now_us=10).route
    assert green is not None
    assert (green.champion, green.participants) == (B, (A,))
    after = ModelState("late", 4, route=green, champions=("b", "a"), versions=KNOWN)
    back = roll_back(after, actor="ann", reason="green is wrong", now_us=11).route
    assert back is not None
    assert back.champion == A


def test_in_an_experiment_the_champion_may_shadow_the_arms_so_that_both_score_every_request() -> None:
    request = RouteRequest("late", "a", ("a", "b"), experiment=Experiment((Share("b", "b", 100),)))
    assert decide(request, current=None, versions=KNOWN, now_us=9).shadow_names == ("a", "b")


def test_a_version_of_an_arm_is_a_challenger() -> None:
    assert stage_of(B, asked(Share("b", "b", 1))) is Stage.CHALLENGER


def test_asking_for_the_experiment_in_force_changes_nothing() -> None:
    current = asked(Share("b", "b", 100))
    request = RouteRequest("late", "a", experiment=current.experiment)
    assert decide(request, current=current, versions=KNOWN, now_us=9) is current


@pytest.mark.parametrize(
    "experiment",
    [
        NO_EXPERIMENT,
        Experiment((Share("b", "b", 5),), (segment("s", JFK, FAR),), "origin"),
        Experiment(segments=(segment("s", Condition("input", "x", (1.0, 2.0))),)),
    ],
)
def test_a_row_keeps_an_experiment(experiment: Experiment) -> None:
    assert to_experiment(of_experiment(experiment)) == experiment


BODY: dict[str, Any] = {
    "champion": "a",
    "arms": [{"variant": "b", "version": "b", "weight_basis_points": 1000}],
    "segments": [
        {
            "name": "jfk",
            "conditions": [
                {"field": "entity", "name": "origin", "any_of": ["JFK"]},
                {"field": "input", "name": "gift", "any_of": [True]},
                {"field": "input", "name": "distance", "at_least": 500, "less_than": 2000.5},
            ],
            "arms": [{"variant": "b", "version": "b", "weight_basis_points": 10000}],
        }
    ],
    "sticky_entity": "carrier",
    "salt": "spring",
}


async def test_the_api_sets_shows_and_announces_an_experiment(
    client: httpx.AsyncClient, registry: MemoryRegistry, packages: MemoryPackages, outbox: MemoryOutbox
) -> None:
    for name in ("a", "b"):
        claim = packages.put(package_facts(name=name))
        await keep(registry, version(name, digest=claim.digest))

    reply = await client.put("/v1/models/late/route", json=BODY)

    assert reply.status_code == 201, reply.text
    shown = (await client.get("/v1/models/late/route")).json()
    assert [(arm["variant"], arm["weight_basis_points"]) for arm in shown["arms"]] == [
        ("champion", 9000),
        ("b", 1000),
    ]
    [jfk] = shown["segments"]
    assert [one["any_of"] for one in jfk["conditions"]] == [["JFK"], [True], None]
    assert jfk["conditions"][2]["less_than"] == 2000.5
    [told] = [one.event for one in outbox.events if one.topic == ROUTES_CHANGED.name]
    message = RouteChanged.FromString(told.data)
    assert (message.salt, message.sticky_entity) == ("spring", "carrier")
    assert message.segments[0].conditions[2].within.at_least == 500
    refused = await client.post("/v1/models/late/rollouts", json={"version": "b"})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:tidemark:problem:experiment-running")
    ended = await client.post("/v1/models/late/rollback", json={"reason": "enough"})
    assert (ended.json()["withdrawn"], ended.json()["segments"]) == (None, [])
