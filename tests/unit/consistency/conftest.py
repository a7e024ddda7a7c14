"""A small store and its lake: rows in memory by the real engine, Delta tables by the real archiver."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from archiver.adapters.delta import DeltaLake
from archiver.adapters.platform import PlatformKeeper
from archiver.adapters.sources import SourceKeeper
from bus.errors import Unavailable
from bus.events import Event
from bus.positions import TopicPartition
from bus.received import Received
from bus.topics import PREDICTIONS_MADE
from drift_detector.adapters.audited import KnownAudits
from drift_detector.adapters.lake import DeltaServedLog
from drift_detector.adapters.wire import measured_event
from drift_detector.auditor import Audit, Auditor
from drift_detector.metrics import AuditMetrics
from feature_store import Count, Entity, FeatureView, Json, Last, Mean, Source, decode_events
from feature_store.contract import Contract
from feature_store.events import Incoming
from feature_store.online import Applier, VectorAssembler
from feature_store.online.memory import MemoryClaims, MemoryFeatureRows
from feature_store.requests import Requests
from feature_store.rows import row_key
from monitoring.served import Consistency, Freshness, StoreMonitor
from prometheus_client import CollectorRegistry
from tidemark.scoring.v1.feature_vector_pb2 import FeatureVector, RowPosition
from tidemark.scoring.v1.prediction_pb2 import ROLE_CHAMPION, PredictionMade

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bus.watermarks import Watermark
    from drift_detector.domain.figures import Measured

MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
MODEL = "fares"
PARTITIONS = 2

rides = Source(
    "rides.v1",
    format=Json({"driver": "text", "rider": "text", "fare": "number", "at": "time"}),
    event_time="at",
    partitions=PARTITIONS,
    max_lateness=timedelta(days=30),
)


class DriverRides(FeatureView):
    source, entity = rides, Entity("driver")
    ttl, freshness = timedelta(hours=3), timedelta(minutes=1)
    rides_1h = Count(window="1h")
    mean_fare_2h = Mean("fare", window="2h")


class RiderRides(FeatureView):
    source, entity = rides, Entity("rider")
    last_fare = Last("fare", window="all")


CONTRACT = Contract.over(MODEL, [DriverRides.rides_1h, DriverRides.mean_fare_2h, RiderRides.last_fare], {})


@dataclass
class Shop:
    """A store that is written to and read from, and what the archiver has kept of it.

    Attributes:
        rows: The rows; a test may spoil them.
        told: Everything said of windows, in order.
        kept: How far the archiver says it has come.
        progress: How far it was said that windows were judged.
    """

    folder: Path
    rows: MemoryFeatureRows = field(default_factory=MemoryFeatureRows)
    told: list[Measured] = field(default_factory=list)
    kept: dict[TopicPartition, Watermark] = field(default_factory=dict)
    progress: list[Mapping[TopicPartition, Watermark]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known = KnownAudits()
        self.ends: Counter[TopicPartition] = Counter()
        self._lake = DeltaLake(str(self.folder / "lake"))
        self._keepers = {
            rides.topic: SourceKeeper(rides),
            PREDICTIONS_MADE.name: PlatformKeeper(PREDICTIONS_MADE),
        }
        for keeper in self._keepers.values():
            self._lake.prepare(keeper.table)
        self._unkept: dict[str, list[Received]] = defaultdict(list)
        self._applier = Applier([DriverRides.view, RiderRides.view], self.rows, MemoryClaims())
        self._assembler = VectorAssembler(CONTRACT)
        self.fail_after: int | None = None

    async def ride(
        self,
        hours: float,
        driver: str = "d",
        rider: str = "r",
        fare: float = 10.0,
        *,
        known_hours: float | None = None,
        apply: bool = True,
    ) -> Callable[[], Any]:
        """A ride was taken; it reaches the rows now, or when what is returned is awaited."""
        time_us = int(hours * HOUR_US)
        recorded_us = time_us if known_hours is None else int(known_hours * HOUR_US)
        number = sum(end for where, end in self.ends.items() if where.topic == rides.topic)
        data = {"driver": driver, "rider": rider, "fare": fare, "at": _rfc3339(time_us)}
        event = Event(
            f"ride-{number}",
            "ride",
            "t",
            "",
            time_us,
            recorded_us,
            driver.encode(),
            json.dumps(data).encode(),
        )
        received = self._log(rides.topic, number % PARTITIONS, event)

        async def reach() -> None:
            incoming = Incoming(
                [event.data],
                [event.id],
                [event.key],
                [time_us],
                [recorded_us],
                [received.partition],
                [received.offset],
            )
            batch, rejects = decode_events(rides, incoming)
            assert not rejects
            await self._applier.apply(batch)

        if apply:
            await reach()
        return reach

    async def ask(
        self,
        hours: float,
        name: str,
        driver: str | None = "d",
        rider: str | None = "r",
        *,
        version: str = "a",
        is_given: bool = False,
        spoil: Callable[[FeatureVector], None] = lambda _: None,
    ) -> None:
        """A request is answered from the rows as they are, or from a vector given with it, and logged."""
        time_us = int(hours * HOUR_US)
        requests = Requests(
            np.array([time_us]),
            {"driver": np.array([driver], object), "rider": np.array([rider], object)},
            {},
        )
        vectors = self._assembler.assemble(requests, await self.rows.read(self._assembler.row_keys(requests)))
        features = FeatureVector(
            contract_hash=CONTRACT.hash,
            values=vectors.values[0].astype("<f4").tobytes(),
            statuses=vectors.statuses[0].tobytes(),
            rows=[
                RowPosition(
                    view=one.view,
                    applied_offsets=one.applied[0].tolist(),
                    recorded_watermark_us=int(one.recorded_watermark_us[0]),
                )
                for one in vectors.positions
                if one.found[0]
            ],
        )
        spoil(features)
        entities = {} if is_given else {"driver": driver or "", "rider": rider or ""}
        made = PredictionMade(
            prediction_id=name,
            request_key=name,
            model=MODEL,
            version=version,
            variant="champion",
            role=ROLE_CHAMPION,
            score=0.5,
            entities=entities,
            features=features,
            label="x",
        )
        made.request_time.FromMicroseconds(time_us)
        event = Event.of(made, id=name, source="t", key=name, time_us=time_us, recorded_time_us=time_us)
        self._log(PREDICTIONS_MADE.name, 0, event)

    def archive(self, *topics: str) -> None:
        """The lake holds these topics now, or all."""
        for topic in topics or tuple(self._keepers):
            records, keeper = self._unkept.pop(topic, []), self._keepers[topic]
            if not records:
                continue
            reached: dict[int, int] = {}
            for one in records:
                reached[one.partition] = one.offset + 1
            self._lake.append(keeper.table, keeper.keep(records).rows, reached)

    @staticmethod
    def consistency(**given: Any) -> Consistency:
        """Looks at everything, unless told otherwise."""
        usual = {"name": "consistency", "model": MODEL, "sample": 1.0, "minimum_rows": 3}
        return Consistency(**usual | given)

    def graceful(self, minutes: int) -> Consistency:
        """Excuses less, or more."""
        return self.consistency(grace=timedelta(minutes=minutes), minimum_rows=1)

    @staticmethod
    def freshness(**given: Any) -> Freshness:
        """Looks at everything, unless told otherwise."""
        usual = {"name": "freshness", "model": MODEL, "sample": 1.0, "minimum_rows": 3}
        return Freshness(**usual | given)

    def auditor(self, *monitors: StoreMonitor, batch_rows: int = 1_000) -> Auditor:
        """A process that recomputes; it knows what was told, whoever told it."""
        found = monitors or (self.consistency(),)
        topics = [TopicPartition(rides.topic, number) for number in range(PARTITIONS)]
        partitions = [*topics, TopicPartition(PREDICTIONS_MADE.name, 0)]
        audit = Audit(
            contract=CONTRACT,
            window_us=found[0].window_us,
            share=found[0].sample,
            grace_us=next((one.grace_us for one in found if isinstance(one, Consistency)), 0),
            monitors=found,
            objectives_us={"driver_rides": MINUTE_US},
        )
        log = DeltaServedLog(str(self.folder / "lake"), answers=PREDICTIONS_MADE.name, most_rows=10_000)
        return Auditor(
            audits=[audit],
            answers=PREDICTIONS_MADE.name,
            keep_us=30 * 24 * HOUR_US,
            batch_rows=batch_rows,
            log=log,
            kept=lambda: self.kept,
            ends=_Ends(self, partitions),
            told=self,
            announcements=self,
            metrics=AuditMetrics(CollectorRegistry()),
        )

    async def judged(self, *monitors: StoreMonitor) -> list[Measured]:
        """Everything that is told once the lake holds everything."""
        self.archive()
        before = len(self.told)
        await self.auditor(*monitors).look()
        return self.told[before:]

    def row_key(self, view: str, key: str) -> bytes:
        """The key of a row."""
        [kept] = [one for one in CONTRACT.views if one.name == view]
        return row_key(view, kept.digest, key)

    def spoil_row(self, view: str, key: str) -> None:
        """Somebody changed a row: its last word, twice what it was."""
        name = self.row_key(view, key)
        row = bytearray(self.rows.stored[name])
        row[-8:] = (int.from_bytes(row[-8:], "little", signed=True) + (1 << 52)).to_bytes(8, "little")
        self.rows.stored[name] = bytes(row)

    # `Told` and `Announcements`, for one auditor after the other.

    async def caught_up(self) -> None:
        """See `Told`."""

    def newest_us(self, model: str, monitor: str) -> int | None:
        """See `Told`."""
        return self.known.newest_us(model, monitor)

    def versions(self, model: str, monitor: str) -> Any:
        """See `Told`."""
        return self.known.versions(model, monitor)

    async def measured(self, measured: Sequence[Measured]) -> None:
        """See `Announcements`; dies after `fail_after` of them."""
        for one in measured:
            if self.fail_after is not None:
                if not self.fail_after:
                    raise Unavailable("the process died here")
                self.fail_after -= 1
            self.told.append(one)
            event = measured_event(one)
            await self.known(Received("measured", 0, len(self.told), event))

    async def measured_up_to(self, marks: Mapping[TopicPartition, Watermark]) -> None:
        """See `Announcements`."""
        self.progress.append(marks)

    def _log(self, topic: str, partition: int, event: Event) -> Received:
        where = TopicPartition(topic, partition)
        received = Received(topic, partition, self.ends[where], event)
        self.ends[where] += 1
        self._unkept[topic].append(received)
        return received


@dataclass
class _Ends:
    shop: Shop
    partitions: Sequence[TopicPartition]

    async def ask(self) -> Mapping[TopicPartition, int]:
        """See `Ends`."""
        return {where: self.shop.ends[where] for where in self.partitions}


def _rfc3339(time_us: int) -> str:
    return str(np.datetime64(time_us, "us")) + "Z"


@pytest.fixture
def shop_in() -> Callable[[str], Shop]:
    return lambda folder: Shop(Path(folder))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)
