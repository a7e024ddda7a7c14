"""Predictions to Kafka, and routes from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from bus.errors import EventTooLarge, Unavailable
from bus.events import Event
from bus.received import Received, Rejection
from bus.topics import PREDICTIONS_MADE, ROUTES_FOLLOWED, SHADOW_MADE
from bus.transactions import Made
from google.protobuf.message import DecodeError
from tidemark.scoring.v1.prediction_pb2 import PredictionMade

from inference.adapters.wire import (
    asked_by,
    logged_of,
    route_followed,
    route_of,
    shadow_made,
)
from inference.adapters.wire_predictions import PredictionWriter, prediction_made
from inference.domain.errors import InvalidRequest, LogUnavailable
from inference.scored import Scored
from inference.serve.lingering import Lingering
from inference.shadow.handlers import Logged, Refused, ShadowScore

if TYPE_CHECKING:
    import structlog
    from bus.buffered import BufferedPublisher
    from bus.producer import Publisher

    from inference.clocks import WallClock
    from inference.domain.requests import Asked
    from inference.metrics import Metrics
    from inference.routes.following import Following
    from inference.routes.uptakes import Uptakes
    from inference.stream.handlers import Refused as NeverScored

SOURCE: Final = "tidemark/inference"
_PREDICTION_MADE: Final = PredictionMade.DESCRIPTOR.full_name
SHADOW_SOURCE: Final = "tidemark/inference/shadow"

ScoreStreamed = Callable[[Sequence["Asked"]], Awaitable[Sequence["Scored | NeverScored"]]]
ScoreShadows = Callable[[Sequence[Logged]], Awaitable[tuple[Sequence[ShadowScore], Sequence[Refused]]]]


class KafkaPredictionLog:
    """Records predictions on `predictions.made`.

    Args:
        buffered: Delivers what replies do not wait for.
        publisher: Delivers what they do wait for.
        bound: How many predictions may wait for Kafka.
        linger_s: How long one may wait to be written out.
        durable_deadline_s: How long a reply waits for the broker.
    """

    def __init__(
        self,
        *,
        buffered: BufferedPublisher,
        publisher: Publisher,
        metrics: Metrics,
        bound: int,
        linger_s: float,
        durable_deadline_s: float,
    ) -> None:
        self._buffered = buffered
        self._publisher = publisher
        self._metrics = metrics
        self._bound = bound
        self._durable_deadline_s = durable_deadline_s
        self._writer = PredictionWriter()
        self._unwritten: Lingering[Scored] = Lingering(self._write_out, linger_s)

    def offer(self, scored: Scored) -> None:
        """See `PredictionLog.offer`."""
        if len(self._unwritten) + self._buffered.depth >= self._bound:
            self._metrics.dropped(scored.asked.model, "BUFFER_FULL")
        else:
            self._unwritten.add(scored)

    async def write(self, scored: Scored) -> None:
        """See `PredictionLog.write`."""
        try:
            async with asyncio.timeout(self._durable_deadline_s):
                await self._publisher.publish(PREDICTIONS_MADE.name, prediction_event(scored))
        except (TimeoutError, Unavailable, EventTooLarge) as error:
            raise LogUnavailable(
                f"{scored.asked.model!r} logs durably and its prediction {scored.asked.prediction_id!r} "
                f"was not recorded: {error or 'Kafka did not answer in time'}"
            ) from error

    def close(self) -> None:
        """Write out all that waits; delivering it is the buffer's."""
        self._unwritten.finish()

    def _write_out(self, scored: Sequence[Scored]) -> None:
        for one, event in zip(scored, prediction_events(scored, self._writer), strict=True):
            if not self._buffered.offer(PREDICTIONS_MADE.name, event):
                self._metrics.dropped(one.asked.model, "NOT_DELIVERED")


def prediction_event(scored: Scored) -> Event:
    """The event of a prediction: its id is the prediction's, its times the request's."""
    return _event_of(scored, prediction_made(scored).SerializeToString())


def prediction_events(scored: Sequence[Scored], writer: PredictionWriter) -> list[Event]:
    """The events of many predictions, in order; see `prediction_event`."""
    return list(map(_event_of, scored, writer.predictions_made(scored)))


def _event_of(scored: Scored, data: bytes) -> Event:
    asked = scored.asked
    key = asked.request_key
    # By position: this runs for every prediction, and keywords cost.
    return Event(
        asked.prediction_id,
        _PREDICTION_MADE,
        SOURCE,
        key,
        asked.request_time_us,
        asked.recorded_time_us,
        key.encode(),
        data,
        asked.traceparent,
    )


def shadow_event(shadow: ShadowScore, original: Event) -> Event:
    """The event of a shadow's score: its id follows from prediction and version, its times are theirs."""
    made = shadow_made(shadow)
    return Event.of(
        made,
        id=f"{made.prediction_id}:{shadow.version}",
        source=SHADOW_SOURCE,
        key=original.key,
        time_us=original.time_us,
        recorded_time_us=original.recorded_time_us,
        traceparent=original.traceparent,
    )


class ShadowConsumer:
    """The handler of `predictions.made` in the shadow role: reads, scores, publishes on `shadow.made`."""

    def __init__(self, score: ScoreShadows, publisher: Publisher) -> None:
        self._score = score
        self._publisher = publisher

    async def __call__(self, batch: Sequence[Received]) -> Sequence[Rejection]:
        """See `bus.received.Handler`. Running again publishes the same events again."""
        sources: dict[int, Received] = {}
        rejections: dict[int, Rejection] = {}
        predictions: list[Logged] = []
        for received in batch:
            try:
                logged = logged_of(received.event.data)
            except (DecodeError, ValueError) as error:
                rejections[id(received)] = Rejection(received, "MALFORMED_PREDICTION", str(error))
            else:
                predictions.append(logged)
                sources[id(logged)] = received
        scores, refused = await self._score(predictions)
        events = [shadow_event(shadow, sources[id(shadow.logged)].event) for shadow in scores]
        await self._publisher.publish_all(SHADOW_MADE.name, events)
        for one in refused:
            received = sources[id(one.logged)]
            # A record goes to the dead-letter topic once, whatever number of shadows refuse it.
            rejections.setdefault(id(received), Rejection(received, one.reason, one.detail))
        return list(rejections.values())


class ScoringConsumer:
    """Answers `scoring.requested` in the stream role: what it returns is published with the offsets."""

    def __init__(self, score: ScoreStreamed) -> None:
        self._score = score
        self._writer = PredictionWriter()

    async def __call__(self, batch: Sequence[Received]) -> Sequence[Made | Rejection]:
        """See `bus.transactions.Answering`."""
        answers: list[Made | Rejection] = []
        asked: list[Asked] = []
        sources: list[Received] = []
        for received in batch:
            try:
                asked.append(asked_by(received.event))
            except DecodeError as error:
                answers.append(Rejection(received, "MALFORMED_REQUEST", str(error)))
            except InvalidRequest as error:
                answers.append(Rejection(received, "INVALID_REQUEST", str(error)))
            else:
                sources.append(received)
        scored: list[Scored] = []
        causes: list[Received] = []
        for received, answer in zip(sources, await self._score(asked), strict=True):
            if isinstance(answer, Scored):
                scored.append(answer)
                causes.append(received)
            else:
                answers.append(Rejection(received, answer.reason, answer.detail))
        events = prediction_events(scored, self._writer)
        answers += [
            Made(cause, PREDICTIONS_MADE.name, event) for cause, event in zip(causes, events, strict=True)
        ]
        return answers


class RouteFollowings:
    """Says on `routes.followed` where a replica is; see `following.Announce`.

    Args:
        replica: Unique a process.
        role: "serve", "shadow" or "stream".
        beat_seconds: How often states are said: whoever is silent for three beats is gone.
    """

    def __init__(
        self, publisher: Publisher, *, replica: str, role: str, beat_seconds: float, now_us: WallClock
    ) -> None:
        self._publisher = publisher
        self._replica = replica
        self._role = role
        self._beat_seconds = beat_seconds
        self._now_us = now_us
        self._said = 0

    async def __call__(self, states: Sequence[Following]) -> None:
        """See `following.Announce`: publishing waits while the broker is away."""
        await self._publisher.publish_all(ROUTES_FOLLOWED.name, [self._event(state) for state in states])

    def _event(self, state: Following) -> Event:
        self._said += 1
        now_us = self._now_us()
        return Event.of(
            route_followed(state, replica=self._replica, role=self._role, beat_seconds=self._beat_seconds),
            id=f"{self._replica}:{self._said}",
            source=SOURCE,
            key=f"{self._replica}/{state.model}",
            time_us=now_us,
            recorded_time_us=now_us,
        )


class RouteListener:
    """Has routes from `routes.changed` taken up."""

    def __init__(self, uptakes: Uptakes, log: structlog.stdlib.BoundLogger) -> None:
        self._uptakes = uptakes
        self._log = log

    async def __call__(self, received: Received) -> None:
        """See `bus.follow.OnEvent`."""
        event = received.event
        try:
            route = None if event.tombstone else route_of(event.data)
        except DecodeError as error:
            # Nobody can follow it: whoever published it hears of it here, and the route before it stands.
            self._log.error("route unreadable", offset=received.offset, key=event.key, reason=str(error))
            return
        self._uptakes.take_up(route.model if route else event.key.decode(errors="replace"), route)
