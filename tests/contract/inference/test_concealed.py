"""What is sensitive is looked up hashed and recorded hashed; what nobody declared is not recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from feature_store.sensitivity import Pseudonyms
from inference_kit.asking import score, score_batch
from inference_kit.planes import follow
from inference_kit.starting import KINDS
from inference_kit.stock import question
from tidemark.common.v1.value_pb2 import Value
from tidemark.scoring.v1.feature_vector_pb2 import FeatureStatus
from tidemark.scoring.v1.prediction_pb2 import PredictionMade

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from inference_kit.planes import DataPlane
    from inference_kit.starting import StartPlane
    from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest

SECRET = b"thirty-two bytes of a test's own"
PSEUDONYMS = Pseudonyms(SECRET)
CLEAR = ("ann", "AB123", "order-7", "ann@example.com", "o-7")


@pytest.fixture(scope="module", params=KINDS)
async def plane(
    request: pytest.FixtureRequest, start_plane: StartPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[DataPlane]:
    key = tmp_path_factory.mktemp("key") / "key"
    key.write_bytes(SECRET)
    async with start_plane(request.param, project="discreet_shop", privacy_key_file=str(key)) as started:
        await follow(started, started.stock.route(started.stock.version()))
        await started.apply([{"user": "ann", "order_id": "order-7"}, {"user": "bob", "order_id": "order-8"}])
        yield started


def private_question(prediction_id: str) -> ScoreRequest:
    return question(
        prediction_id=prediction_id,
        request_key="order-7",
        entities={"user": "ann", "passport": "AB123"},
        context={
            "basket": Value(number=1.0),
            "order": Value(text="o-7"),
            "email": Value(text="ann@example.com"),
        },
    )


async def test_rows_are_found_and_nothing_is_recorded_in_the_clear(plane: DataPlane) -> None:
    response = await score(plane, private_question("alone"))
    assert response.features[0].status == FeatureStatus.FEATURE_STATUS_PRESENT
    assert response.features[0].value == 1.0
    batch = await score_batch(plane, [private_question(f"together-{number}") for number in range(40)])
    assert {one.response.score for one in batch.results} == {response.score}

    events = await plane.predictions()
    assert len(events) == 41
    for event in events:
        made = PredictionMade.FromString(event.data)
        assert dict(made.entities) == {"user": PSEUDONYMS.of("ann")}
        assert made.context.keys() == {"basket", "order"}
        assert made.context["order"].text == PSEUDONYMS.of("o-7")
        assert made.request_key == event.key.decode() == event.subject == PSEUDONYMS.of("order-7")
        assert not [clear for clear in CLEAR if clear.encode() in event.data]


async def test_an_input_is_hashed_before_a_model_reads_it(plane: DataPlane) -> None:
    asked = private_question("first")
    asked.context["order"].text = "o-1"
    response = await score(plane, asked)
    assert [(one.name, one.value) for one in response.features][2] == ("is_first", 0.0)
