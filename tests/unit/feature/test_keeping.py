"""A group registers once its rows are whole, and is complete once it has passed what there was then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from feature.keeping import Keeping
from feature_store import Count, Entity, FeatureView, Json, Source
from feature_store.online.keepers import Keeper, MemoryKeepers, versions_of

if TYPE_CHECKING:
    from collections.abc import Mapping

rides = Source("rides", format=Json({"driver": "text"}), event_time=None, partitions=2)


class DriverRides(FeatureView):
    source, entity = rides, Entity("driver")
    rides_1h = Count(window="1h")


VERSIONS = versions_of([DriverRides.view])


class Topics:
    """Ends and commits as the test says."""

    def __init__(self) -> None:
        self.end = 7
        self.committed: dict[int, int] = {}

    async def begins(self) -> Mapping[str, Mapping[int, int]]:
        return {"rides": {0: 0, 1: 0}}

    async def ends(self) -> Mapping[str, Mapping[int, int]]:
        return {"rides": {0: self.end, 1: 0}}

    async def commits(self, group: str) -> Mapping[str, Mapping[int, int]]:
        assert group == "mine"
        return {"rides": self.committed}


@pytest.fixture
def topics() -> Topics:
    return Topics()


@pytest.fixture
def keepers() -> MemoryKeepers:
    return MemoryKeepers()


def keeping(keepers: MemoryKeepers, topics: Topics) -> Keeping:
    return Keeping(keepers, topics, group="mine", project="taxis", versions=VERSIONS, now_us=lambda: 11)


async def test_it_is_complete_once_it_passed_what_there_was_when_it_began(
    keepers: MemoryKeepers, topics: Topics
) -> None:
    kept = keeping(keepers, topics)
    assert not kept.is_complete(DriverRides.view)
    await kept.look()
    until = {"rides": {0: 7, 1: 0}}
    assert await keepers.all() == [Keeper("mine", "taxis", VERSIONS, {}, until, complete=False, began_us=11)]
    topics.end, topics.committed = 90, {0: 6}
    await kept.look()
    assert not kept.is_complete(DriverRides.view)
    topics.committed = {0: 7}
    await kept.look()
    assert kept.is_complete(DriverRides.view)
    # It stays so, however far behind it falls: that is lag, which the metrics tell.
    topics.committed = {}
    await kept.look()
    await keeping(keepers, topics).look()
    assert (await keepers.all())[0].complete


async def test_a_version_that_another_group_has_brought_up_to_date_is_complete(
    keepers: MemoryKeepers, topics: Topics
) -> None:
    await keepers.put(Keeper("other", "taxis", VERSIONS, {}, {}, complete=True, began_us=1))
    kept = keeping(keepers, topics)
    await kept.look()
    assert kept.is_complete(DriverRides.view)
    assert [one.complete for one in await keepers.all()] == [False, True]
