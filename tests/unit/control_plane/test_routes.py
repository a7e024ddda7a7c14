from dataclasses import replace
from typing import Any

import pytest
from control_plane.domain.errors import RevisionConflict, RouteRefused
from control_plane.domain.routes import (
    Arrangement,
    Canary,
    Route,
    RouteRequest,
    arranged,
    decide,
    stage_of,
)
from control_plane.domain.versions import Gate, Provenance, Stage, Standing
from control_plane.testing import route, version

A, B, C = version("a"), version("b"), version("c")
FAILED = Provenance(gates=(Gate("latency", passed=False),))
KNOWN = {known.version: known for known in (A, B, C)}


def ask(champion: str, *shadows: str, expected: int | None = None, current: Route | None = None) -> Route:
    request = RouteRequest("late", champion, shadows, expected)
    return decide(request, current=current, versions=KNOWN, now_us=9)


def test_the_first_route_has_revision_one() -> None:
    assert ask("a", "b", "c") == Route("late", 1, champion=A, shadows=(B, C), changed_at_us=9)


def test_each_change_counts_on() -> None:
    assert ask("b", current=route(4, A)).revision == 5


def test_asking_for_what_is_in_force_changes_nothing() -> None:
    current = route(4, A, (B,))
    assert ask("a", "b", current=current) is current


def test_the_order_of_shadows_is_a_change() -> None:
    assert ask("a", "c", "b", current=route(4, A, (B, C))).revision == 5


@pytest.mark.parametrize(("expected", "current"), [(0, None), (4, route(4, A)), (None, route(4, A))])
def test_an_expected_revision_that_is_in_force_is_no_obstacle(
    expected: int | None, current: Route | None
) -> None:
    assert ask("b", expected=expected, current=current).champion is B


@pytest.mark.parametrize(
    ("expected", "current", "in_force"), [(1, None, 0), (3, route(4, A), 4), (0, route(4, A), 4)]
)
def test_another_revision_than_the_expected_one_is_a_conflict(
    expected: int, current: Route | None, in_force: int
) -> None:
    with pytest.raises(RevisionConflict, match=f"at revision {in_force}") as conflict:
        ask("b", expected=expected, current=current)
    assert conflict.value.current == in_force


def test_an_outdated_request_is_a_conflict_even_if_it_asks_for_what_is_in_force() -> None:
    with pytest.raises(RevisionConflict):
        ask("a", expected=3, current=route(4, A))


@pytest.mark.parametrize(
    ("champion", "shadows", "reason"),
    [
        ("nobody", (), "UNKNOWN_VERSION"),
        ("a", ("nobody",), "UNKNOWN_VERSION"),
        ("a", ("b", "b"), "DUPLICATE_SHADOW"),
        ("a", ("b", "a"), "CHAMPION_IS_SHADOW"),
    ],
)
def test_versions_that_make_no_route_are_refused_with_the_rule(
    champion: str, shadows: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(RouteRefused) as refused:
        ask(champion, *shadows)
    assert refused.value.reason == reason


def test_a_shadow_must_read_the_champions_contract() -> None:
    other = version("other", contract="f" * 64)
    request = RouteRequest("late", "a", ("other",))
    with pytest.raises(RouteRefused, match=r"Version other reads feature contract f{64}") as refused:
        decide(request, current=None, versions={"a": A, "other": other}, now_us=9)
    assert refused.value.reason == "CONTRACT_MISMATCH"


def test_a_champion_may_bring_another_contract_than_the_one_before() -> None:
    other = version("other", contract="f" * 64)
    request = RouteRequest("late", "other")
    assert decide(request, current=route(1, A), versions={"other": other}, now_us=9).champion is other


@pytest.mark.parametrize(
    ("standing", "why"), [("UNDECIDED", "is not approved yet"), ("REJECTED", "was rejected")]
)
def test_a_champion_must_be_approved(standing: str, why: str) -> None:
    fresh = version("a", standing=Standing(standing))
    with pytest.raises(RouteRefused, match=why) as refused:
        decide(RouteRequest("late", "a"), current=None, versions={"a": fresh}, now_us=9)
    assert refused.value.reason == "NOT_APPROVED"


def test_a_shadow_needs_no_approval() -> None:
    fresh = version("b", standing=Standing.UNDECIDED)
    request = RouteRequest("late", "a", ("b",))
    assert decide(request, current=None, versions={"a": A, "b": fresh}, now_us=9).shadows == (fresh,)


def test_a_canary_must_be_approved_too() -> None:
    fresh = version("b", standing=Standing.UNDECIDED)
    with pytest.raises(RouteRefused, match="version:late:b"):
        arranged("late", route(1, A), Arrangement(A, (A, fresh), Canary(fresh, 100)), now_us=9)


@pytest.mark.parametrize(
    ("changed", "in_force", "stage"),
    [
        ({"standing": Standing.UNDECIDED}, None, Stage.REGISTERED),
        ({"standing": Standing.UNDECIDED, "provenance": FAILED}, None, Stage.REFUSED),
        ({"provenance": FAILED}, None, Stage.APPROVED),
        ({"standing": Standing.REJECTED}, None, Stage.REFUSED),
        ({}, route(1, A, (B,)), Stage.SHADOW),
        ({}, route(1, B), Stage.CHAMPION),
        ({}, replace(route(1, A, (A, B)), canary=Canary(B, 100)), Stage.CANARY),
        ({"routed": True}, route(1, A), Stage.RETIRED),
        ({"routed": True, "standing": Standing.REJECTED}, None, Stage.REFUSED),
    ],
)
def test_a_stage_follows_from_what_was_decided_and_what_is_in_force(
    changed: dict[str, Any], in_force: Route | None, stage: Stage
) -> None:
    assert stage_of(replace(B, **changed), in_force) is stage
