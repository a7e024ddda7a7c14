"""What becomes of decisions whose model's policy asks for an explanation: an event each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bus.errors import Unavailable
from bus.events import PROTOBUF, Event
from bus.received import Rejection
from bus.topics import PREDICTIONS_EXPLAINED
from tidemark.explanations.v1.prediction_explained_pb2 import PredictionExplained

from inference.domain.explanations import Target
from inference.explain.errors import ExplainError, NotFound, NotReadable, TooManyWait
from inference.explain.wire import prediction_explained, prediction_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bus.producer import Publisher
    from bus.received import Received
    from feature_store import ExplainWhen

    from inference.explain.asking import Asking
    from inference.explain.metrics import ExplainMetrics
    from inference.explain.predictions import Prediction
    from inference.explain.questions import Answer

SOURCE: Final = "inference-explain"


class DecisionExplainer:
    """The handler of `predictions.made` for policies: explains, publishes on `predictions.explained`.

    Args:
        asking: Explains.
        policies: By model, which decisions are explained.
        caught_up: Returns when every version that is published now is known; raises `Unavailable` while that
            cannot be.
        publisher: Says so.
        metrics: What is counted.
    """

    def __init__(
        self,
        asking: Asking,
        policies: Mapping[str, ExplainWhen],
        caught_up: Callable[[], Awaitable[None]],
        publisher: Publisher,
        metrics: ExplainMetrics,
    ) -> None:
        self._asking = asking
        self._policies = policies
        self._caught_up = caught_up
        self._publisher = publisher
        self._metrics = metrics

    async def __call__(self, batch: Sequence[Received]) -> Sequence[Rejection]:
        """See `bus.received.Handler`. Running again publishes the same events again, to the byte."""
        events: list[Event] = []
        rejections: list[Rejection] = []
        for received in batch:
            try:
                prediction = prediction_of(received.event.data)
            except ValueError as error:
                rejections.append(Rejection(received, "MALFORMED_PREDICTION", str(error)))
                continue
            policy = self._policies.get(prediction.model)
            if policy is None or not policy.asks_for(prediction.score):
                continue
            try:
                answer = await self._explain(prediction, policy)
            except ExplainError as error:
                self._metrics.failed(error.reason)
                rejections.append(Rejection(received, error.reason, str(error)))
            else:
                self._metrics.decisions_explained(prediction.model, 1)
                events.append(explained_event(received.event, prediction, answer))
        await self._publisher.publish_all(PREDICTIONS_EXPLAINED.name, events)
        return rejections

    async def _explain(self, prediction: Prediction, policy: ExplainWhen) -> Answer:
        try:
            return await self._asking.about(prediction, Target(), policy.reasons, None)
        except NotFound:
            # What was served was routed: the route is on its topic, though it may not have been read yet.
            await self._caught_up()
        except (NotReadable, TooManyWait) as error:
            raise Unavailable(str(error)) from error
        return await self._asking.about(prediction, Target(), policy.reasons, None)


def explained_event(original: Event, prediction: Prediction, answer: Answer) -> Event:
    """The event of an explanation: its id follows from the prediction's, its times are the prediction's."""
    return replace(
        original,
        id=f"{prediction.prediction_id}:explained",
        type=PredictionExplained.DESCRIPTOR.full_name,
        source=SOURCE,
        data=prediction_explained(prediction, answer),
        content_type=PROTOBUF,
    )
