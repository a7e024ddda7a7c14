"""Predictions are found by id where they are, and where they are not is said."""

import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from bus.errors import Unavailable
from bus.follow import Follower, MemoryTail
from bus.memory import MemoryLog, MemoryPublisher
from bus.topics import PREDICTIONS_MADE
from deltalake import write_deltalake
from explain_shelf import VECTOR, made_event, prediction, received
from inference.explain.errors import NotFound, NotReadable, TooManyWait
from inference.explain.lake import PREDICTIONS, LakePredictions
from inference.explain.predictions import Prediction, Predictions, RecentPredictions, RecentTail
from inference.explain.wire import prediction_of, vector_of
from inference_kit.stock import NOW_US


async def _known() -> None:
    return


async def _away() -> None:
    raise Unavailable("Kafka is away")


async def _recent(*ids: str, most: int = 3) -> RecentPredictions:
    recent = RecentPredictions(most, prediction_of)
    for one in ids:
        await recent.on_event(received(made_event(prediction(one, "v"))))
    return recent


def _lake(folder: Path, *ids: str, **changes: Any) -> LakePredictions:
    row = {
        "_partition": 0,
        "_offset": 0,
        "request_key": "k",
        "model": "returns",
        "version": "v",
        "variant": "champion",
        "score": 0.5,
        "request_time": datetime.fromtimestamp(NOW_US / 1e6, UTC),
        "entities": [("user", "ann")],
        "features__values": VECTOR.astype("<f4").tobytes(),
        "features__statuses": bytes([1] * len(VECTOR)),
        **changes,
    }
    rows = [{"prediction_id": one, **row, "_offset": at} for at, one in enumerate(ids)]
    entities = ("entities", pa.map_(pa.string(), pa.string()))
    schema = pa.Table.from_pylist(rows).schema
    schema = schema.set(schema.get_field_index("entities"), pa.field(*entities))
    write_deltalake(str(folder / PREDICTIONS), pa.Table.from_pylist(rows, schema=schema))
    return LakePredictions(str(folder))


async def test_the_newest_are_at_hand_and_no_more_than_may_be() -> None:
    recent = await _recent("a", "b", "c", "d")
    assert len(recent) == 3
    assert recent.find("a") is None
    found = recent.find("d")
    assert found is not None
    assert (found.prediction_id, found.entities, found.request_time_us) == (
        "d",
        {"user": "ann", "item": "tea"},
        NOW_US,
    )
    np.testing.assert_array_equal(found.values, VECTOR)


async def test_one_that_is_still_on_its_way_is_waited_for(tmp_path: Path) -> None:
    recent = RecentPredictions(3, prediction_of)

    async def arrives() -> None:
        await recent.on_event(received(made_event(prediction("a", "v"))))

    found = await Predictions(recent, arrives, LakePredictions(str(tmp_path))).find("a")
    assert found.prediction_id == "a"


async def test_older_ones_are_in_the_lake_the_first_recorded_of_an_id(tmp_path: Path) -> None:
    older = _lake(tmp_path, "old", "other")
    rows = _lake(tmp_path / "again", "old", score=0.75)
    assert rows.find("old") is not None
    found = await Predictions(await _recent(), _known, older).find("old")
    assert (found.score, found.entities, found.request_time_us) == (0.5, {"user": "ann"}, NOW_US)
    np.testing.assert_array_equal(found.values, VECTOR)
    np.testing.assert_array_equal(found.statuses, np.ones(len(VECTOR), np.uint8))


async def test_one_that_is_nowhere_says_where_it_was_looked_for(tmp_path: Path) -> None:
    predictions = Predictions(await _recent("a"), _known, _lake(tmp_path, "b"))
    with pytest.raises(NotFound, match=r"'c' is neither among the newest 1 .*nor in the lake's table .*made"):
        await predictions.find("c")


async def test_where_not_everything_could_be_read_it_is_not_said_to_be_nowhere(tmp_path: Path) -> None:
    predictions = Predictions(await _recent("a"), _away, LakePredictions(str(tmp_path)))
    assert (await predictions.find("a")).prediction_id == "a"
    with pytest.raises(NotReadable, match="as far as could be read: Kafka is away"):
        await predictions.find("c")
    (tmp_path / PREDICTIONS / "_delta_log").mkdir(parents=True)
    (tmp_path / PREDICTIONS / "_delta_log" / f"{0:020}.json").write_text("{")
    with pytest.raises(NotReadable, match="cannot be read"):
        await Predictions(await _recent(), _known, LakePredictions(str(tmp_path))).find("c")


class _Held:
    """Older predictions whose lookup ends when it is let; counts those that are under way at once."""

    place = "a slow lake"

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go_on = threading.Event()
        self.asked: list[str] = []

    def find(self, prediction_id: str) -> Prediction | None:
        self.asked.append(prediction_id)
        self.began.set()
        assert self.go_on.wait(30)
        return None


async def test_older_ones_are_looked_up_one_at_a_time_and_no_more_wait_than_may() -> None:
    held = _Held()
    predictions = Predictions(await _recent("a"), _known, held, most_waiting=2)
    first, second = (asyncio.ensure_future(predictions.find(one)) for one in ("x", "y"))
    assert await asyncio.to_thread(held.began.wait, 30)
    with pytest.raises(TooManyWait, match="2 explanations wait"):
        await predictions.find("z")
    assert (await predictions.find("a")).prediction_id == "a"
    assert held.asked == ["x"]
    held.go_on.set()
    for waiting in (first, second):
        with pytest.raises(NotFound, match="a slow lake"):
            await waiting
    assert held.asked == ["x", "y"]
    predictions.close()


async def test_a_damaged_one_is_named(tmp_path: Path) -> None:
    recent = RecentPredictions(3, prediction_of)
    made = prediction("a", "v")
    made.features.values = b"abc"
    await recent.on_event(received(made_event(made)))
    with pytest.raises(NotReadable, match="'a' is damaged: its vector has 3 bytes"):
        await Predictions(recent, _known, LakePredictions(str(tmp_path))).find("a")
    damaged = _lake(tmp_path, "b", features__statuses=b"1")
    with pytest.raises(NotReadable, match="'b' is damaged: its vector has 7 values and 1 statuses"):
        damaged.find("b")


def test_a_vector_without_statuses_has_none() -> None:
    _, statuses = vector_of(VECTOR.astype("<f4").tobytes(), b"")
    assert statuses.tolist() == [0] * len(VECTOR)


async def test_the_window_begins_near_the_end_of_every_partition_and_goes_on_where_it_was() -> None:
    log = MemoryLog(partitions=2)
    publisher = MemoryPublisher(log)
    for number in range(40):
        await publisher.publish(PREDICTIONS_MADE.name, made_event(prediction(f"p{number}", "v")))
    seen: list[Prediction] = []
    recent = RecentPredictions(1_000, prediction_of)

    async def on_event(one: Any) -> None:
        await recent.on_event(one)
        seen.append(prediction_of(one.event.data))

    follower = Follower(RecentTail(MemoryTail(log, PREDICTIONS_MADE.name), 10), on_event)
    stop = asyncio.Event()
    following = asyncio.ensure_future(follower.run(stop))
    await follower.read_once()
    assert {one.prediction_id for one in seen} > {"p39"}
    assert len(seen) == 10
    await publisher.publish(PREDICTIONS_MADE.name, made_event(prediction("late", "v")))
    await follower.caught_up()
    assert [one.prediction_id for one in seen[10:]] == ["late"]
    stop.set()
    await following
