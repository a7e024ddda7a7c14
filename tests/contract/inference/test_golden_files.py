"""The golden files: every plane gives what they say, and so does a reader of the documents alone.

`golden/make.py` wrote them. The plain reader has docs/formats.md and the compiled contract: what it can tell,
a plane in another language can.
"""

import filecmp
import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from inference_kit.asking import score
from inference_kit.goldens import CONTRACT, GOLDEN, PROJECT, Answer, answers, points, recorded, rows, serve
from inference_kit.plain import PlainReader, arm_at, point
from inference_kit.starting import KINDS, StartPlane
from tidemark.scoring.v1.prediction_pb2 import PredictionMade
from tidemark.scoring.v1.scoring_service_pb2 import ScoreResponse

pytestmark = pytest.mark.plane

ANSWERS = list(answers())
BY_GRAPH = [answer for answer in ANSWERS if answer.request.model == "every-tile"]
Found = dict[str, tuple[ScoreResponse, dict[str, Any], PredictionMade]]


@pytest.fixture(scope="module", params=KINDS)
async def found(request: pytest.FixtureRequest, start_plane: StartPlane) -> AsyncIterator[Found]:
    """What a plane answers to every golden request, and records, by prediction id."""
    async with start_plane(request.param, project=PROJECT) as plane:
        await serve(plane)
        replies = [await score(plane, answer.request, answer.metadata) for answer in ANSWERS]
        events = await recorded(plane)
        yield {reply.prediction_id: (reply, *events[reply.prediction_id]) for reply in replies}


@pytest.fixture(scope="module")
def reader() -> PlainReader:
    return PlainReader(CONTRACT, "every-tile")


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
def test_a_golden_request_has_its_golden_answer_and_event(found: Found, answer: Answer) -> None:
    reply, record, made = found[answer.request.prediction_id]
    assert made.features.values.hex() == answer.vector
    assert made.score == reply.score == pytest.approx(answer.response.score, abs=1e-5)
    assert _without_score(reply) == _without_score(answer.response)
    assert _without_score(made) == _without_score(answer.made)
    assert record == answer.record


@pytest.mark.parametrize("answer", BY_GRAPH, ids=lambda answer: answer.name)
def test_the_documents_and_the_compiled_contract_are_enough_to_make_its_vector(
    reader: PlainReader, answer: Answer
) -> None:
    request = answer.request
    context = {
        "asked_at": request.context["asked_at"].time.ToMicroseconds(),
        "weather": request.context["weather"].text,
        "offer": request.context["offer"].number,
    }
    at_us = request.request_time.ToMicroseconds()
    vector, statuses = reader.vector(rows(), request.entities, context, at_us)
    assert vector.hex() == answer.vector
    assert list(statuses) == list(answer.response.feature_statuses)


@pytest.mark.parametrize("one", points(), ids=lambda one: f"{one['salt']}:{one['key']}")
def test_assignment_is_arithmetic(one: dict[str, Any]) -> None:
    assert point(one["salt"], one["key"]) == one["point"]
    assert arm_at(one["weights"], one["point"]) == one["arm"]


async def test_the_files_are_what_their_script_makes(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("make_goldens", GOLDEN / "make.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    await script.make(tmp_path)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    kept = sorted(
        path.relative_to(GOLDEN) for path in GOLDEN.rglob("*.*") if path.suffix in {".json", ".onnx"}
    )
    assert made == kept
    assert [str(one) for one in made if not filecmp.cmp(tmp_path / one, GOLDEN / one, shallow=False)] == []


def _without_score(message: Message) -> Message:
    bare = type(message)()
    bare.CopyFrom(message)
    bare.ClearField("score")
    return bare
