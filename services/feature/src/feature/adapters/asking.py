"""Between the messages of `FeatureService` and `OutcomeService` and the domain. Protobuf types stop here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from tidemark.features.v1 import feature_service_pb2 as pb

from feature.domain.errors import InvalidRequest
from feature.domain.questions import Question
from feature.pushing import Pushed
from feature.reporting import Reported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.positions import Position
    from feature_store.scalars import Scalar
    from google.protobuf.timestamp_pb2 import Timestamp
    from tidemark.common.v1.value_pb2 import Value
    from tidemark.outcomes.v1.outcome_service_pb2 import ReportedOutcome

    from feature.answering import Answer
    from feature.contracts import Contracts, Served

_SECOND_US = 1_000_000
_NANOS = 1_000_000_000


def served_of(contracts: Contracts, request: pb.GetRequest | pb.GetBatchRequest) -> Served:
    """Return the contract that a call asks for.

    Raises:
        AskingError: There is none such.
    """
    match request.WhichOneof("wanted"):
        case "model":
            return contracts.of_model(request.model)
        case "features":
            return contracts.of_features(tuple(request.features.names))
        case _:
            raise InvalidRequest("wanted", "is not set: name a model, or features")


def question_of(message: pb.GetRequest | pb.FeatureQuestion, *, field: str, now_us: int) -> Question:
    """Read one question; a request time that it leaves out is now.

    Raises:
        InvalidRequest: An input has no kind, or a time is none.
    """
    time_us = _time_us(message, "request_time", field)
    return Question(
        field,
        dict(message.entities),
        {name: _scalar(f"{field}context[{name}]", value) for name, value in message.context.items()},
        now_us if time_us is None else time_us,
    )


def get_response(answer: Answer, row: int) -> pb.GetResponse:
    """Write one row of an answer."""
    contract, vectors = answer.contract, answer.vectors
    found = zip(
        contract.feature_names, vectors.values[row].tolist(), vectors.statuses[row].tolist(), strict=True
    )
    views = zip(
        contract.views, answer.ages_seconds[row].tolist(), answer.versions, answer.complete, strict=True
    )
    return pb.GetResponse(
        contract_hash=contract.hash,
        features=[pb.Feature(name=name, value=value, status=status) for name, value, status in found],
        views=[
            pb.ViewAge(
                view=view.name,
                age_seconds=None if np.isnan(age) else age,
                version=version,
                complete=complete,
            )
            for view, age, version, complete in views
        ],
    )


def get_batch_response(answer: Answer) -> pb.GetBatchResponse:
    """Write the answer to many questions as matrices."""
    contract, vectors = answer.contract, answer.vectors
    return pb.GetBatchResponse(
        contract_hash=contract.hash,
        features=contract.feature_names,
        values=vectors.values.astype("<f4", copy=False).tobytes(),
        statuses=vectors.statuses.tobytes(),
        views=[view.name for view in contract.views],
        ages_seconds=answer.ages_seconds.astype("<f4", copy=False).tobytes(),
        versions=answer.versions,
        complete=answer.complete,
    )


def pushed_of(index: int, message: pb.PushedEvent) -> Pushed:
    """Read a pushed event.

    Raises:
        InvalidRequest: A time is none.
    """
    field = f"events[{index}]."
    return Pushed(
        message.id,
        message.key,
        message.data,
        _time_us(message, "event_time", field),
        _time_us(message, "recorded_time", field),
    )


def push_response(positions: Sequence[Position]) -> pb.PushResponse:
    """Write where pushed events are."""
    return pb.PushResponse(
        positions=[pb.PushedPosition(partition=where.partition, offset=where.offset) for where in positions]
    )


def reported_of(index: int, message: ReportedOutcome) -> Reported:
    """Read a reported outcome.

    Raises:
        InvalidRequest: A time is none.
    """
    field = f"outcomes[{index}]."
    return Reported(
        message.label,
        message.request_key,
        message.value,
        message.revision,
        _time_us(message, "outcome_time", field),
        _time_us(message, "recorded_time", field),
    )


def _scalar(field: str, value: Value) -> Scalar:
    match value.WhichOneof("kind"):
        case "number":
            return value.number
        case "text":
            return value.text
        case "flag":
            return value.flag
        case "time":
            return _microseconds(value.time, field)
        case _:
            raise InvalidRequest(field, "has no value: set number, text, flag or time")


def _time_us(
    message: pb.GetRequest | pb.FeatureQuestion | pb.PushedEvent | ReportedOutcome, name: str, field: str
) -> int | None:
    if not message.HasField(name):  # type: ignore[arg-type] # each caller names a field that its message has
        return None
    return _microseconds(getattr(message, name), f"{field}{name}")


def _microseconds(stamp: Timestamp, field: str) -> int:
    if not 0 <= stamp.nanos < _NANOS:
        raise InvalidRequest(field, f"has {stamp.nanos} nanos, which must be 0 to 999,999,999")
    return stamp.seconds * _SECOND_US + stamp.nanos // 1000
