"""Protobuf to explanations' domain and back. Protobuf types stop here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from google.protobuf.message import DecodeError
from tidemark.explanations.v1.explain_service_pb2 import ExplainResponse
from tidemark.explanations.v1.explanation_pb2 import Contribution, Explanation
from tidemark.explanations.v1.explanation_pb2 import Reason as ReasonMessage
from tidemark.explanations.v1.prediction_explained_pb2 import PredictionExplained
from tidemark.registry.v1.model_pb2 import ModelRegistered
from tidemark.scoring.v1.prediction_pb2 import PredictionMade

from inference.adapters.wire import timestamp
from inference.domain.explanations import MOST_REASONS, SCORE, USUAL_REASONS, Target
from inference.domain.routes import VersionRef
from inference.explain.errors import InvalidExplainRequest
from inference.explain.predictions import Prediction
from inference.explain.questions import Given, Question

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from tidemark.explanations.v1.explain_service_pb2 import ExplainRequest, GivenVector

    from inference.explain.questions import Answer

_FLOAT_BYTES = 4
_LAST_STATUS = 4


def registered_of(data: bytes) -> tuple[str, VersionRef]:
    """Read a registration: the model and where its version is.

    Raises:
        DecodeError: The bytes are no `ModelRegistered`.
    """
    message = ModelRegistered.FromString(data)
    return message.model, VersionRef(message.version, message.digest, message.package_uri)


def prediction_of(data: bytes) -> Prediction:
    """Read a prediction.

    Raises:
        ValueError: The bytes are no `PredictionMade`, or its vector is damaged.
    """
    try:
        made = PredictionMade.FromString(data)
    except DecodeError as error:
        raise ValueError(f"its bytes are no PredictionMade: {error}") from error
    values, statuses = vector_of(made.features.values, made.features.statuses)
    return Prediction(
        prediction_id=made.prediction_id,
        request_key=made.request_key,
        model=made.model,
        version=made.version,
        variant=made.variant,
        score=made.score,
        request_time_us=made.request_time.seconds * 1_000_000 + made.request_time.nanos // 1_000,
        entities=dict(made.entities),
        values=values,
        statuses=statuses,
    )


def vector_of(values: bytes, statuses: bytes) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Read a recorded vector: float32[F] and uint8[F], zeros where no statuses were recorded.

    Raises:
        ValueError: The bytes are no whole numbers, or of another number of features.
    """
    if len(values) % _FLOAT_BYTES:
        raise ValueError(f"its vector has {len(values)} bytes, which is no number of float32")
    count = len(values) // _FLOAT_BYTES
    if len(statuses) not in {0, count}:
        raise ValueError(f"its vector has {count} values and {len(statuses)} statuses")
    numbers = np.frombuffer(values, "<f4").astype(np.float32, copy=False)
    return numbers, np.frombuffer(statuses or bytes(count), np.uint8)


def question_of(request: ExplainRequest) -> Question:
    """Read a request.

    Raises:
        InvalidExplainRequest: A field is missing or wrong.
    """
    each = request.reasons if request.HasField("reasons") else USUAL_REASONS
    if not 0 <= each <= MOST_REASONS:
        raise InvalidExplainRequest("reasons", f"is {each}, and 0 to {MOST_REASONS} can be told")
    target = Target(request.output or SCORE, request.element)
    match request.WhichOneof("subject"):
        case "prediction_id":
            if not request.prediction_id:
                raise InvalidExplainRequest("prediction_id", "is empty")
            return Question(request.prediction_id, None, target, each)
        case "vector":
            return Question("", _given(request.vector), target, each)
        case _:
            raise InvalidExplainRequest("subject", "is missing: set prediction_id or vector")


def _given(vector: GivenVector) -> Given:
    if not vector.model:
        raise InvalidExplainRequest("vector.model", "is missing")
    values = np.array(vector.values, np.float32)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise InvalidExplainRequest(f"vector.values[{wrong[0]}]", f"is {values[wrong[0]]}: must be finite")
    return Given(
        vector.model, vector.version, values, _statuses(vector.statuses, len(values)), dict(vector.entities)
    )


def _statuses(statuses: Sequence[int], count: int) -> NDArray[np.uint8]:
    if len(statuses) not in {0, count}:
        raise InvalidExplainRequest("vector.statuses", f"has {len(statuses)} entries for {count} values")
    for at, status in enumerate(statuses):
        if not 0 <= status <= _LAST_STATUS:
            raise InvalidExplainRequest(f"vector.statuses[{at}]", f"is {status}, which is no FeatureStatus")
    return np.array(statuses or [0] * count, np.uint8)


def explain_response(answer: Answer) -> ExplainResponse:
    """Write a reply."""
    prediction = answer.prediction
    if prediction is None:
        return ExplainResponse(explanation=explanation(answer), entities=answer.subject.entities)
    return ExplainResponse(
        explanation=explanation(answer),
        recorded_score=prediction.score,
        request_time=timestamp(prediction.request_time_us),
        request_key=prediction.request_key,
        entities=prediction.entities,
    )


def prediction_explained(prediction: Prediction, answer: Answer) -> bytes:
    """Write the fact that a decision was explained: the same bytes for the same prediction."""
    message = PredictionExplained(
        prediction_id=prediction.prediction_id,
        request_key=prediction.request_key,
        model=prediction.model,
        version=prediction.version,
        variant=prediction.variant,
        score=prediction.score,
        request_time=timestamp(prediction.request_time_us),
        entities=prediction.entities,
        explanation=explanation(answer),
    )
    # A map is otherwise written in an order that differs from process to process.
    return message.SerializeToString(deterministic=True)


def explanation(answer: Answer) -> Explanation:
    """Write an explanation."""
    explained = answer.explained
    attribution = explained.attribution
    message = Explanation(
        model=explained.model,
        version=explained.version,
        digest=explained.digest,
        output=explained.target.output,
        element=explained.target.element,
        method=int(attribution.method),  # type: ignore[arg-type] # the numbers are the contract's
        background=int(explained.background),  # type: ignore[arg-type] # as above
        background_rows=explained.background_rows,
        value=attribution.plain.value,
        base_value=attribution.plain.base,
        contributions=_contributions(answer),
        reasons=[
            ReasonMessage(
                feature=reason.feature,
                direction=int(reason.direction),  # type: ignore[arg-type] # as above
                contribution=reason.contribution,
                text=reason.text,
            )
            for reason in answer.reasons
        ],
        notes=answer.notes,
    )
    if attribution.log_odds is not None:
        message.log_odds = attribution.log_odds.value
        message.base_log_odds = attribution.log_odds.base
    return message


def _contributions(answer: Answer) -> list[Contribution]:
    explained, subject = answer.explained, answer.subject
    written = [
        Contribution(feature=name, value=value, status=status, usual=usual, contribution=contribution)
        for name, value, status, usual, contribution in zip(
            explained.feature_names,
            subject.values.tolist(),
            subject.statuses.tolist(),
            explained.usual.tolist(),
            explained.attribution.plain.contributions.tolist(),
            strict=True,
        )
    ]
    if explained.attribution.log_odds is not None:
        for one, log_odds in zip(written, explained.attribution.log_odds.contributions.tolist(), strict=True):
            one.log_odds_contribution = log_odds
    return written
