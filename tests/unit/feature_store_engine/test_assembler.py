from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from feature_store import (
    Contract,
    Count,
    Entity,
    FeatureView,
    Json,
    Label,
    Last,
    ModelSpec,
    Requests,
    RequestTime,
    Source,
    Status,
    TrainingExamples,
    VectorAssembler,
    field,
    request,
)
from feature_store.plans import plan_of
from feature_store.rows import NEWEST, RowLayout, key_prefix

if TYPE_CHECKING:
    from feature_store.vectors import Vectors

NOW_US = 1_365_000_000_000_000
HOUR_US = 3_600_000_000
clicks = Source(
    "clicks",
    format=Json({"user": "text", "page": "text", "ms": "number", "at": "time"}),
    event_time="at",
    partitions=2,
)
user, page = Entity("user"), Entity("page")


class UserClicks(FeatureView):
    source, entity = clicks, user
    ttl = timedelta(hours=2)
    clicks_1h = Count(window="1h", default=-1.0)


class PageClicks(FeatureView):
    source, entity = clicks, page
    last_ms_1h = Last("ms", window="1h", default=-2.0)


twice = RequestTime("twice", request("x") * 2.0, default=-3.0)
contract = Contract.of(
    ModelSpec(
        "m",
        features=[PageClicks.last_ms_1h, twice, UserClicks.clicks_1h],
        label=Label("l", source=clicks, request_key="user", value=field("ms")),
        examples=TrainingExamples(
            source=clicks, time=field("at"), entities={"user": "user", "page": "page"}, context={"x": "ms"}
        ),
        train=lambda *_: None,
    )
)
PRESENT, MISSING, STALE, DEFAULTED = Status.PRESENT, Status.MISSING, Status.STALE, Status.DEFAULTED


def requests(count: int = 1) -> Requests:
    keys = np.array([f"k{number}" for number in range(count)], np.object_)
    return Requests(
        np.full(count, NOW_US), {"user": keys, "page": keys.copy()}, {"x": np.arange(count) * 0.5}
    )


def user_row(clicks_in_window: int, *, age_us: int = 0, partitions: int = 2) -> bytes:
    layout = plan_of(UserClicks.view).layout.with_partitions(partitions)
    row = layout.empty.copy()
    row[NEWEST] = NOW_US - age_us
    tile = (NOW_US - age_us) // (HOUR_US // 12)
    row[layout.tiles + tile % 12] = clicks_in_window
    row[5 : layout.tiles] = range(partitions)
    return row.tobytes()


def assembled(rows: list[bytes | None], count: int = 1, *, readable: bool = True) -> Vectors:
    return VectorAssembler(contract).assemble(requests(count), rows, readable=readable)


def test_keys_are_those_of_each_request_s_views_side_by_side() -> None:
    asked = requests(2)
    asked.entities["user"][1] = None
    pages, users = (key_prefix(view.name, view.digest) for view in contract.views)
    assert (pages[:17], users[:16]) == (b"tm:f:page_clicks:", b"tm:f:user_clicks")
    assert VectorAssembler(contract).row_keys(asked) == [pages + b"k0", users + b"k0", pages + b"k1", users]


def test_a_row_s_features_are_present_and_without_a_row_they_are_missing() -> None:
    vectors = assembled([None, user_row(7)])
    assert vectors.values.tolist() == [[-2.0, 0.0, 7.0]]
    assert vectors.statuses.tolist() == [[MISSING, PRESENT, PRESENT]]
    page_position, user_position = vectors.positions
    assert (page_position.view, page_position.found.tolist()) == ("page_clicks", [False])
    assert (user_position.view, user_position.found.tolist()) == ("user_clicks", [True])
    assert user_position.applied.tolist() == [[0, 1]]


def test_a_row_is_stale_once_its_newest_event_is_older_than_the_ttl() -> None:
    for age_us, status in ((2 * HOUR_US, PRESENT), (2 * HOUR_US + 1, STALE)):
        assert assembled([None, user_row(7, age_us=age_us)]).statuses[0, 2] == status


def test_what_cannot_be_read_takes_the_defaults_and_what_needs_no_store_does_not() -> None:
    vectors = assembled([b"garbage", user_row(7)], readable=False)
    assert vectors.values.tolist() == [[-2.0, 0.0, -1.0]]
    assert vectors.statuses.tolist() == [[DEFAULTED, PRESENT, DEFAULTED]]


@pytest.mark.parametrize("row", [b"", b"garbage", user_row(7)[:-1], b"TM\x02" + user_row(7)[3:]])
def test_an_unreadable_row_spoils_no_other(row: bytes) -> None:
    vectors = assembled([None, row, None, user_row(3)], count=2)
    assert vectors.statuses[:, 2].tolist() == [DEFAULTED, PRESENT]
    assert vectors.values[:, 2].tolist() == [-1.0, 3.0]


def test_a_row_of_another_definition_is_unreadable() -> None:
    layout = plan_of(UserClicks.view).layout
    other = RowLayout(bytes(8), layout.initial, layout.partitions).empty.tobytes()
    assert assembled([None, other]).statuses[0, 2] == DEFAULTED


@pytest.mark.parametrize("count", [1, 2, 64, 131])
def test_many_requests_at_once_come_out_as_each_alone(count: int) -> None:
    rows = [row for number in range(count) for row in (None, user_row(number) if number % 5 else None)]
    together = assembled(rows, count)
    for number in range(count):
        one = VectorAssembler(contract).assemble(
            requests(count).take(np.array([number])), rows[2 * number : 2 * number + 2]
        )
        assert together.values[number].tobytes() == one.values[0].tobytes()
        assert together.statuses[number].tolist() == one.statuses[0].tolist()
        for all_rows, row in zip(together.positions, one.positions, strict=True):
            assert all_rows.applied[number].tolist() == row.applied[0].tolist()


@pytest.mark.parametrize("partitions", [1, 2])
def test_what_a_row_had_applied_is_told_alike_after_and_beside_wider_rows(partitions: int) -> None:
    assembler = VectorAssembler(contract)
    rows = [None, user_row(1, partitions=5), None, user_row(2, partitions=partitions)]
    for asked, first in ((rows, 1), (rows[2:], 0)):
        positions = assembler.assemble(requests(len(asked) // 2), asked).positions
        assert [applied for _, applied, _ in positions.of(first)] == [[0, 1] if partitions == 2 else [0, -1]]
    wide = assembler.assemble(requests(1), rows[:2]).positions
    assert [applied for _, applied, _ in wide.of(0)] == [[0, 1, 2, 3, 4]]


def test_rows_for_more_and_fewer_partitions_than_declared_are_read() -> None:
    count = 66
    wide = {0: 3, count - 1: 5}
    rows = [
        row for number in range(count) for row in (None, user_row(number, partitions=wide.get(number, 1)))
    ]
    assembler = VectorAssembler(contract)
    for _ in range(2):
        vectors = assembler.assemble(requests(count), rows)
        assert vectors.values[:, 2].tolist() == list(range(count))
        applied = vectors.positions[1].applied
        assert applied.shape == (count, 5)
        assert applied[[0, 1, -1]].tolist() == [[0, 1, 2, -1, -1], [0, -1, -1, -1, -1], [0, 1, 2, 3, 4]]


def test_a_computed_value_that_is_null_or_does_not_fit_is_missing() -> None:
    asked = Requests(
        np.full(3, NOW_US),
        {"user": np.full(3, None), "page": np.full(3, None)},
        {"x": np.array([np.nan, 1e300, 1.0])},
    )
    vectors = VectorAssembler(contract).assemble(asked, [None] * 6)
    assert vectors.values[:, 1].tolist() == [-3.0, -3.0, 2.0]
    assert vectors.statuses[:, 1].tolist() == [MISSING, MISSING, PRESENT]


@pytest.mark.parametrize("tiles", [1, 2, 12, 60, 1_000])
def test_however_many_tiles_a_window_has_the_newest_of_them_count(tiles: int) -> None:
    class ManyTiles(FeatureView):
        source, entity = clicks, user
        ttl = timedelta(days=9)
        clicks_kept = Count(window=timedelta(seconds=tiles), tiles=tiles)

    spec = ModelSpec(
        "many",
        features=[ManyTiles.clicks_kept],
        label=Label("l", source=clicks, request_key="user", value=field("ms")),
        examples=TrainingExamples(source=clicks, time=field("at"), entities={"user": "user"}),
        train=lambda *_: None,
    )
    layout = plan_of(ManyTiles.view).layout
    row = layout.empty.copy()
    row[NEWEST] = NOW_US
    row[layout.tiles :] = 1
    asked_at = (-tiles - 1, -tiles, -tiles + 1, -1, 0, 1, tiles - 1, tiles, tiles + 1, 100_000)
    count = len(asked_at)
    asked = Requests(NOW_US + np.array(asked_at) * 1_000_000, {"user": np.full(count, "k", np.object_)}, {})
    vectors = VectorAssembler(Contract.of(spec)).assemble(asked, [row.tobytes()] * count)
    # Of the tiles that the ring holds, the last `tiles` up to the request's; those before the ring are gone.
    expected = [max(0, tiles - abs(second)) for second in asked_at]
    assert vectors.values[:, 0].tolist() == expected
