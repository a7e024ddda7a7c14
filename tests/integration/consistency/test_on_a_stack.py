"""The consistency monitor on a real Kafka, a real Valkey and a real Delta lake."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest
from bus.events import Event
from bus.inspect import tail
from bus.producer import KafkaPublisher
from bus.progress import targets_of
from bus.topics import ALERTS_CHANGED, CATALOGUE, MONITORS_MEASURED, PREDICTIONS_MADE, Topic, ensure_topics
from bus.tracker import ProgressTracker
from feature_store import load_project
from feature_store.online import VectorAssembler
from feature_store.online.keepers import feature_group
from feature_store.online.redis import RedisFeatureRows, connect
from feature_store.requests import Requests
from feature_store.rows import row_key
from tidemark.monitoring.v1.alert_pb2 import AlertChanged, AlertState
from tidemark.monitoring.v1.monitor_pb2 import ASSESSMENT_BREACHED, ASSESSMENT_OK, MonitorMeasured
from tidemark.scoring.v1.feature_vector_pb2 import FeatureVector, RowPosition
from tidemark.scoring.v1.prediction_pb2 import ROLE_CHAMPION, PredictionMade

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bus.topics import Topic as AnyTopic
    from google.protobuf.message import Message
    from local_stack import LocalStack

pytestmark = pytest.mark.stack

FOLDER = Path(__file__).parent
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
START_US = 15_700 * DAY_US
SECONDS = 60


class Stage:
    """Rides and requests through the real services: `feature` writes rows, `archiver` the lake."""

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        self.stack, self.folder = stack, folder
        project = load_project("rides_project")
        self.contract, self.group = project.contract("fares"), feature_group(project)
        self.assembler = VectorAssembler(self.contract)
        self._processes: list[asyncio.subprocess.Process] = []
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        bootstrap = self.stack.kafka_bootstrap
        await ensure_topics(bootstrap, [Topic("rides.ended.v1", None, "", 2, retention=None), *CATALOGUE])
        enter = self._closing.enter_async_context
        self.publisher = await enter(KafkaPublisher(bootstrap, client_id="upstream"))
        self.tracker = await enter(ProgressTracker(bootstrap))
        self.client = await connect(self.stack.redis_url)
        self._closing.push_async_callback(self.client.aclose)
        self.rows = RedisFeatureRows(self.client)
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
        await self._closing.aclose()

    @property
    def row(self) -> bytes:
        """The key of the row of rider r0."""
        [view] = [one for one in self.contract.views if one.name == "rider_rides"]
        return row_key(view.name, view.digest, "r0")

    async def start(self, service: str) -> asyncio.subprocess.Process:
        """Start a service of the platform."""
        environment = {
            **self.stack.environment(),
            "TIDEMARK_PROJECT": "rides_project",
            "PYTHONPATH": str(FOLDER),
            "LAKE_URI": str(self.folder / "lake"),
            "PACKAGES_URI": str(self.folder / "packages"),
            "METRICS_PORT": "0",
            "FLUSH_MS": "200",
            "AUDIT_BEAT": "PT0.2S",
        }
        with (self.folder / f"{service}-{len(self._processes)}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", service, env=environment, stdout=log, stderr=log
            )
        self._processes.append(process)
        return process

    async def ride(self, hours: float, number: int) -> None:
        """A ride reaches the rows."""
        at_us = START_US + int(hours * HOUR_US)
        fields = {"ride": f"t{hours}", "driver": f"d{number % 2}", "rider": f"r{number % 2}"}
        data = json.dumps({**fields, "fare": 5.0 + number, "at": f"{np.datetime64(at_us, 'us')}Z"}).encode()
        event = Event(f"ride-{hours}", "ride", "t", "", at_us, at_us, fields["driver"].encode(), data)
        positions = await self.publisher.publish_all("rides.ended.v1", [event])
        await self.tracker.reached(self.group, targets_of(positions), SECONDS)

    async def ask(self, hours: float, number: int) -> None:
        """A request is answered from the rows in Valkey, as `inference` does it, and logged."""
        time_us, key = START_US + int(hours * HOUR_US), f"q{hours}"
        entities = {"driver": f"d{number % 2}", "rider": f"r{number % 2}"}
        asked = {name: np.array([one], object) for name, one in entities.items()}
        requests = Requests(np.array([time_us]), asked, {})
        stored = await self.rows.read(self.assembler.row_keys(requests))
        vectors = self.assembler.assemble(requests, stored)
        features = FeatureVector(
            contract_hash=self.contract.hash,
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
        served: dict[str, Any] = {
            "model": "fares",
            "version": "a",
            "role": ROLE_CHAMPION,
            "variant": "champion",
        }
        made = PredictionMade(
            prediction_id=key, request_key=key, score=0.5, features=features, entities=entities, **served
        )
        made.request_time.FromMicroseconds(time_us)
        event = Event.of(made, id=key, source="t", key=key, time_us=time_us, recorded_time_us=time_us)
        await self.publisher.publish(PREDICTIONS_MADE.name, event)

    async def hour(self, hour: int) -> None:
        """Rides, then requests."""
        for number in range(4):
            await self.ride(hour + number / 20, number)
        for number in range(4):
            await self.ask(hour + 0.5 + number / 20, number)

    async def said(self, topic: AnyTopic, count: int, kind: type[Message]) -> list[Any]:
        """Return the first so many messages of a topic, once they are there."""
        async with asyncio.timeout(SECONDS):
            found = tail(self.stack.kafka_bootstrap, topic.name, from_beginning=True, limit=count)
            return [kind.FromString(one.event.data) async for one in found if one.event]


def rates(measured: MonitorMeasured) -> dict[tuple[str, str], float]:
    return {
        (one.subject, one.statistic): one.value
        for one in measured.measurements
        if one.subject and one.statistic.endswith("_rate")
    }


@pytest.fixture
async def stage(
    own_stack: Callable[..., Awaitable[LocalStack]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Stage:
    monkeypatch.syspath_prepend(str(FOLDER))
    return Stage(await own_stack(), tmp_path)


async def test_a_spoilt_row_and_a_lost_one_are_told_alerted_and_over_again_and_a_kill_changes_nothing(
    stage: Stage,
) -> None:
    async with stage:
        await stage.start("feature")
        await stage.start("archiver")
        await stage.hour(10)
        whole = await stage.client.get(stage.row)
        assert whole is not None
        twice = (int.from_bytes(whole[-8:], "little", signed=True) + (1 << 52)).to_bytes(8, "little")

        await stage.client.set(stage.row, whole[:-8] + twice)
        for number in range(3):
            await stage.ask(11.5 + number / 20, 0)
        await stage.client.delete(stage.row)
        for number in range(3):
            await stage.ask(12.5 + number / 20, 0)
        await stage.client.set(stage.row, whole)
        await stage.hour(13)
        await stage.ask(14.5, 1)

        detector = await stage.start("drift_detector")
        await stage.said(MONITORS_MEASURED, 1, MonitorMeasured)
        detector.kill()
        await detector.wait()
        detector = await stage.start("drift_detector")
        measured = await stage.said(MONITORS_MEASURED, 4, MonitorMeasured)
        alerts = await stage.said(ALERTS_CHANGED, 3, AlertChanged)
        detector.terminate()
        assert await detector.wait() == 0

    fine, spoilt, lost, mended = measured
    feature = "rider_rides.last_fare"
    assert [one.window_start.ToMicroseconds() for one in measured] == [
        START_US + hour * HOUR_US for hour in (10, 11, 12, 13)
    ]
    assert fine.assessment == ASSESSMENT_OK
    assert rates(fine) == {}
    assert spoilt.assessment == ASSESSMENT_BREACHED
    assert rates(spoilt) == {(feature, "mismatch_rate"): 1.0}
    assert lost.assessment == ASSESSMENT_BREACHED
    # Before the first of them nothing had shown how far the writer had come.
    assert rates(lost) == {(feature, "missing_rate"): pytest.approx(2 / 3)}
    assert mended.assessment == ASSESSMENT_OK
    assert mended.clear
    assert rates(mended) == {}
    firing, still, over = alerts
    assert firing.state == still.state == AlertState.ALERT_STATE_FIRING
    assert firing.fingerprint == "fares:consistency"
    assert firing.runbook == "docs/runbooks/feature-consistency.md"
    assert firing.evidence[0].subject == feature
    assert over.state == AlertState.ALERT_STATE_RESOLVED
