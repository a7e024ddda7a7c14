"""Which requests a segment takes, and which segments are refused."""

import math

import pytest
from feature_store.scalars import Scalar
from hypothesis import given
from hypothesis import strategies as st
from inference.domain.routes import Arm, InvalidRoute, Role, Route, VersionRef, check_route
from inference.domain.segments import Condition, Segment

V = VersionRef("v", "0" * 64, "file:///p")
GIFT = Condition("input", "gift", frozenset([True]))
ARMS = (Arm("champion", Role.CHAMPION, V, 10_000),)


def among(name: str, *values: Scalar) -> Condition:
    return Condition("input", name, frozenset(values))


def keys(name: str, *values: str) -> Condition:
    return Condition("entity", name, frozenset(values))


def within(at_least: float = -math.inf, less_than: float = math.inf) -> Condition:
    return Condition("input", "distance", None, at_least, less_than)


def route(*segments: Segment) -> Route:
    return Route("m", 1, "salt", "", ARMS, segments=segments)


def segment(*conditions: Condition, name: str = "one") -> Segment:
    return Segment(name, conditions, ARMS)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (keys("origin", "JFK", "LGA"), True),
        (keys("origin", "EWR"), False),
        (keys("carrier", "UA"), False),
        (among("channel", "web"), True),
        (Condition("input", "gift", frozenset([False])), False),
        (among("distance", 500.0), True),
        (within(500.0, 501.0), True),
        (within(499.0, 500.0), False),
        (within(less_than=500.1), True),
        (Condition("input", "weight", None, 0.0, 1.0), False),
    ],
)
def test_a_condition_holds_or_not(condition: Condition, *, holds: bool) -> None:
    context: dict[str, Scalar] = {"channel": "web", "gift": True, "distance": 500.0}
    assert condition.holds({"origin": "JFK"}, context) is holds


def test_every_condition_must_hold() -> None:
    both = segment(keys("origin", "JFK"), GIFT)
    assert both.holds({"origin": "JFK"}, {"gift": True})
    assert not both.holds({"origin": "JFK"}, {"gift": False})
    assert not both.holds({"origin": "EWR"}, {"gift": True})


@pytest.mark.parametrize(
    ("conditions", "complaint"),
    [
        ((), "has no condition"),
        ((keys("origin", "A"), keys("origin", "B")), "same field twice"),
        ((keys("origin"),), "holds for nothing"),
        ((keys("", "A"),), "names no field"),
        ((within(5.0, 5.0),), "holds for nothing"),
        ((within(math.nan, 5.0),), "holds for nothing"),
        ((within(),), "holds for every number"),
        ((Condition("entity", "origin", None, 1.0, 2.0),), "is a range"),
        ((Condition("entity", "origin", frozenset([1.0])),), "as keys are"),
        ((among("x", 1.0, "one"),), "values of one kind"),
        ((among("x", 7),), "values of one kind"),
        ((among("x", math.inf),), "finite"),
        ((among("x", *map(str, range(1001))),), "at most 1000"),
    ],
)
def test_a_segment_that_makes_no_sense_is_refused_by_name(
    conditions: tuple[Condition, ...], complaint: str
) -> None:
    with pytest.raises(InvalidRoute, match=f"'m' revision 1: segment 'one'.*{complaint}"):
        check_route(route(segment(*conditions)))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ((keys("origin", "A", "B"),), (keys("origin", "B"),)),
        ((keys("origin", "A"),), (keys("origin", "A"), GIFT)),
        ((within(0.0, 10.0),), (within(1.0, 9.0),)),
        ((within(0.0, 10.0),), (among("distance", 0.0, 9.5),)),
        ((within(0.0),), (within(0.0, 10.0),)),
    ],
)
def test_a_segment_behind_a_wider_one_is_never_reached(
    earlier: tuple[Condition, ...], later: tuple[Condition, ...]
) -> None:
    with pytest.raises(InvalidRoute, match="'two' is never reached"):
        check_route(route(segment(*earlier), segment(*later, name="two")))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ((keys("origin", "B"),), (keys("origin", "A", "B"),)),
        ((keys("origin", "A"), GIFT), (keys("origin", "A"),)),
        ((within(0.0, 10.0),), (among("distance", 10.0),)),
        ((among("distance", 1.0),), (within(0.0, 10.0),)),
        ((among("flag", 1.0),), (Condition("input", "flag", frozenset([True])),)),
    ],
)
def test_a_segment_that_some_request_reaches_is_followed(
    earlier: tuple[Condition, ...], later: tuple[Condition, ...]
) -> None:
    check_route(route(segment(*earlier), segment(*later, name="two")))


def test_segments_have_names_and_arms_of_their_own() -> None:
    origin = keys("origin", "A")
    with pytest.raises(InvalidRoute, match="each needs a name of its own"):
        check_route(route(segment(origin), segment(GIFT)))
    with pytest.raises(InvalidRoute, match="each needs a name of its own"):
        check_route(route(segment(origin, name="")))
    light = (Arm("champion", Role.CHAMPION, V, 9_999),)
    with pytest.raises(InvalidRoute, match=r"segment 'one' of 'm' revision 1 weigh \[9999\]"):
        check_route(route(Segment("one", (origin,), light)))
    with pytest.raises(InvalidRoute, match="at most 64"):
        check_route(route(*[segment(keys("origin", str(n)), name=str(n)) for n in range(65)]))


NUMBERS = st.sampled_from([0.0, 1.0, 2.0, 3.0])
CONDITIONS = st.one_of(
    st.builds(lambda *v: among("distance", *v), NUMBERS, NUMBERS),
    st.builds(lambda low, size: within(low, low + size), NUMBERS, st.sampled_from([0.5, 1.0, 2.0])),
    st.builds(lambda value: among("gift", value), st.booleans()),
)


SEGMENTS = st.lists(CONDITIONS, min_size=1, max_size=2)


@given(earlier=SEGMENTS, later=SEGMENTS, distance=NUMBERS, gift=st.booleans())
def test_what_is_called_covered_is_covered(
    *, earlier: list[Condition], later: list[Condition], distance: float, gift: bool
) -> None:
    first, second = segment(*earlier), segment(*later, name="two")
    context: dict[str, Scalar] = {"distance": distance, "gift": gift}
    if first.covers(second) and second.holds({}, context):
        assert first.holds({}, context)
