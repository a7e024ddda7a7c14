"""Waiting for the replicas after a rollback, with a clock that the test moves."""

from typing import Any

from tidemark_cli.rollback import Following, await_followers


def replica(name: str, revision: int, role: str = "serve") -> dict[str, Any]:
    return {"replica": name, "role": role, "serving_revision": revision}


def follow(*looks: list[dict[str, Any]], revision: int = 4, wait_seconds: float = 10) -> Following:
    """Looks once a second; the last look goes on for ever."""
    second = -1

    def look() -> list[dict[str, Any]]:
        nonlocal second
        second += 1
        return looks[min(second, len(looks) - 1)]

    return await_followers(
        look, revision, wait_seconds=wait_seconds, clock=lambda: float(second), pause=lambda: None
    )


def test_it_waits_for_the_last_replica_and_says_when_each_followed() -> None:
    following = follow(
        [replica("a", 3), replica("b", 3)],
        [replica("a", 4), replica("b", 3)],
        [replica("a", 4), replica("b", 4)],
    )
    assert following.seconds == {"a": 1.0, "b": 2.0}
    assert following.missing == []


def test_one_that_does_not_follow_is_named_once_the_wait_is_over() -> None:
    following = follow([replica("a", 4), replica("b", 3)], wait_seconds=3)
    assert (following.missing, following.seconds) == (["b"], {"a": 0.0})


def test_a_newer_route_is_followed_as_well() -> None:
    assert follow([replica("a", 5)]).missing == []


def test_one_that_goes_away_meanwhile_is_not_waited_for() -> None:
    assert follow([replica("a", 4), replica("b", 3)], [replica("a", 4)]).missing == []


def test_shadows_answer_nobody_and_are_not_waited_for() -> None:
    following = follow([replica("a", 4), replica("s", 3, role="shadow")])
    assert (following.missing, following.seconds) == ([], {"a": 0.0})


def test_no_wait_is_one_look() -> None:
    assert follow([replica("a", 3)], wait_seconds=0).missing == ["a"]
