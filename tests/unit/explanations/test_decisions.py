"""Decisions that a policy names are explained as events, the same to the byte however often it is tried."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bus.errors import Unavailable
from bus.memory import MemoryLog, MemoryPublisher
from bus.topics import PREDICTIONS_EXPLAINED
from explain_shelf import VECTOR, Shelf, made_event, prediction, received, score_of
from feature_store import ExplainWhen
from inference.explain.asking import Asking
from inference.explain.handlers import DecisionExplainer
from inference.explain.vocabulary import Vocabulary
from inference_kit.stock import MODEL, NOW_US
from tidemark.explanations.v1.explanation_pb2 import Background, Direction, Method
from tidemark.explanations.v1.prediction_explained_pb2 import PredictionExplained

SCORE = score_of(VECTOR)
PASSED_VECTOR = -VECTOR


class Scene:
    """A handler on memory."""

    def __init__(self, folder: Path) -> None:
        self.shelf = Shelf(folder)
        self.log = MemoryLog()
        self.caught_up_calls = 0
        self.missing = ""
        vocabulary = Vocabulary(self.shelf.stock.project)
        self.handler = DecisionExplainer(
            Asking(self.shelf.explainer, self.shelf.versions, vocabulary),
            {MODEL: ExplainWhen(below=0.5, reasons=2)},
            self._caught_up,
            MemoryPublisher(self.log),
            self.shelf.metrics,
        )

    async def _caught_up(self) -> None:
        self.caught_up_calls += 1
        if self.missing:
            raise Unavailable(self.missing)

    def told(self) -> list[tuple[str, bytes]]:
        """Ids and bytes of what was published."""
        return [(one.id, one.data) for one in self.log.events(PREDICTIONS_EXPLAINED.name)]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.shelf.explainer.close()


async def test_a_decision_that_the_policy_names_is_explained_and_others_are_not(scene: Scene) -> None:
    version = scene.shelf.version()
    await scene.shelf.register(version)
    batch = [
        received(made_event(prediction("declined", version.version))),
        received(made_event(prediction("passed", version.version, vector=PASSED_VECTOR))),
        received(made_event(prediction("other", version.version, model="marker"))),
    ]
    assert await scene.handler(batch) == []

    [(event_id, data)] = scene.told()
    assert event_id == "declined:explained"
    explained = PredictionExplained.FromString(data)
    assert (explained.prediction_id, explained.request_key) == ("declined", "key-declined")
    assert dict(explained.entities) == {"user": "ann", "item": "tea"}
    assert explained.request_time.seconds * 1_000_000 == NOW_US
    explanation = explained.explanation
    assert explanation.method == Method.METHOD_EXACT
    assert explanation.background == Background.BACKGROUND_TRAINING_SAMPLE
    total = explanation.base_value + sum(one.contribution for one in explanation.contributions)
    assert total == pytest.approx(explained.score, abs=1e-6)
    in_log_odds = explanation.base_log_odds + sum(
        one.log_odds_contribution for one in explanation.contributions
    )
    assert in_log_odds == pytest.approx(np.log(SCORE / (1 - SCORE)), abs=1e-5)
    directions = [reason.direction for reason in explanation.reasons]
    assert directions.count(Direction.DIRECTION_RAISES) == 2
    texts = [reason.text for reason in explanation.reasons]
    assert any(text.startswith("user orders of ann: mean amount 24h is 3 (usual: ") for text in texts), texts
    assert scene.shelf.counted("inference_decisions_explained_total", model=MODEL) == 1


async def test_it_is_the_same_event_to_the_byte_however_often_and_by_whom(
    scene: Scene, tmp_path: Path
) -> None:
    version = scene.shelf.version()
    batch = [received(made_event(prediction("declined", version.version)))]
    await scene.shelf.register(version)
    await scene.handler(batch)
    await scene.handler(batch)
    another = Scene(tmp_path)
    await another.shelf.register(version)
    await another.handler(batch)
    another.shelf.explainer.close()
    [once, again] = scene.told()
    assert once == again == another.told()[0]


async def test_the_envelope_is_the_predictions_own(scene: Scene) -> None:
    version = scene.shelf.version()
    await scene.shelf.register(version)
    await scene.handler([received(made_event(prediction("declined", version.version)))])
    [event] = scene.log.events(PREDICTIONS_EXPLAINED.name)
    assert (event.time_us, event.recorded_time_us) == (NOW_US, NOW_US + 5)
    assert event.key == b"key-declined"
    assert event.type == "tidemark.explanations.v1.PredictionExplained"
    assert event.source == "inference-explain"


async def test_a_version_that_is_not_known_yet_is_waited_for(scene: Scene) -> None:
    batch = [received(made_event(prediction("declined", "unheard-of")))]
    scene.missing = "Kafka is away"
    with pytest.raises(Unavailable):
        await scene.handler(batch)
    scene.missing = ""
    [rejection] = await scene.handler(batch)
    assert (rejection.reason, scene.caught_up_calls) == ("NOT_FOUND", 2)
    assert "no version 'unheard-of' of model 'returns'" in rejection.detail


async def test_what_cannot_be_explained_is_a_dead_letter_and_the_others_are_explained(scene: Scene) -> None:
    version = scene.shelf.version()
    await scene.shelf.register(version)
    good = made_event(prediction("good", version.version))
    short = made_event(prediction("short", version.version, vector=VECTOR[:3]))
    damaged = prediction("damaged", version.version)
    damaged.features.values = b"odd"
    rejections = await scene.handler([received(short), received(good), received(made_event(damaged))])
    assert [(one.received.event.id, one.reason) for one in rejections] == [
        ("short", "VECTOR_MISMATCH"),
        ("damaged", "MALFORMED_PREDICTION"),
    ]
    assert [event_id for event_id, _ in scene.told()] == ["good:explained"]


def test_a_policy_says_above_below_or_both() -> None:
    both = ExplainWhen(at_or_above=0.9, below=0.1)
    assert [both.asks_for(score) for score in (0.05, 0.1, 0.5, 0.9)] == [True, False, False, True]
    assert not ExplainWhen(at_or_above=0.9).asks_for(0.05)
