"""A route that cannot be followed is refused."""

import pytest
from inference.domain.routes import Arm, InvalidRoute, Role, Route, VersionRef, check_route

V = VersionRef("v", "0" * 64, "file:///p")


def _route(*weights: int, variants: tuple[str, ...] = ("champion", "canary", "third")) -> Route:
    arms = tuple(
        Arm(variant, Role.CHAMPION, V, weight) for variant, weight in zip(variants, weights, strict=False)
    )
    return Route("m", 1, "salt", "", arms)


@pytest.mark.parametrize("weights", [(10_000,), (9_000, 1_000), (10_000, 0)])
def test_shares_of_the_whole_are_a_route(weights: tuple[int, ...]) -> None:
    check_route(_route(*weights))


@pytest.mark.parametrize("weights", [(), (9_999,), (10_001,), (11_000, -1_000)])
def test_weights_that_are_no_shares_are_refused(weights: tuple[int, ...]) -> None:
    with pytest.raises(InvalidRoute, match="sum to 10,000"):
        check_route(_route(*weights))


@pytest.mark.parametrize("variants", [("same", "same"), ("champion", "")])
def test_arms_need_names_of_their_own(variants: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRoute, match="name of its own"):
        check_route(_route(5_000, 5_000, variants=variants))


def test_a_route_names_its_model() -> None:
    with pytest.raises(InvalidRoute, match="no model"):
        check_route(Route("", 1, "", "", ()))
