"""Whatever the order, the lateness and the lag: what rows hold is never told to be wrong."""

from __future__ import annotations

from collections import deque
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from drift_detector.domain.figures import Assessment
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.consistency.conftest import Shop

KEYS = st.sampled_from(["a", "b", "c"])
RIDE = st.tuples(st.just("ride"), KEYS, KEYS, st.integers(0, 240), st.integers(-90, 0))
ASK = st.tuples(st.just("ask"), KEYS, KEYS)
REACH = st.tuples(st.just("reach"), st.integers(1, 3))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(RIDE, ASK, REACH), min_size=1, max_size=25), st.sampled_from([0, 1, 60]))
async def test_late_lagging_and_unordered_events_are_no_difference(
    shop_in: Callable[[str], Shop], steps: list[Any], grace_minutes: int
) -> None:
    with TemporaryDirectory() as folder:
        shop = shop_in(folder)
        await live(shop, steps)
        told = await shop.judged(shop.graceful(grace_minutes))
        assert {one.findings.assessment for one in told} <= {Assessment.OK, Assessment.INSUFFICIENT}
        assert sum(one.findings.rows for one in told) == 1 + sum(step[0] == "ask" for step in steps)


async def live(shop: Shop, steps: list[Any]) -> None:
    """Time goes on by a minute a step; rides reach the rows in their order, when a step says so."""
    # Where no row of a window shows how far its writer had come, all may be lost: here one does.
    await shop.ride(10.0, driver="shown")
    await shop.ask(10.05, "first", driver="shown", rider=None)
    waiting: deque[Callable[[], Any]] = deque()
    for minute, step in enumerate(steps):
        now = 10.1 + minute / 60
        match step:
            case ["ride", driver, rider, fare, lateness]:
                happened = now + lateness / 60
                ride = shop.ride(happened, driver, rider, fare / 8, known_hours=now, apply=False)
                waiting.append(await ride)
            case ["ask", driver, rider]:
                await shop.ask(now, f"q{minute}", driver, rider)
            case ["reach", count]:
                for _ in range(min(count, len(waiting))):
                    await waiting.popleft()()
    await shop.ask(13.0, "later", driver=None, rider=None)
