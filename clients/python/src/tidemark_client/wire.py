"""Between the contracts' messages and what callers write and read. Protobuf types stop here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar

from tidemark.features.v1 import feature_service_pb2 as features_pb
from tidemark.outcomes.v1 import outcome_service_pb2 as outcomes_pb
from tidemark.scoring.v1 import scoring_service_pb2 as scoring_pb

from tidemark_client.connecting import MAX_MESSAGE_BYTES
from tidemark_client.errors import InvalidRequest
from tidemark_client.requests import ScoringRequest
from tidemark_client.scores import Feature, Features, FeatureStatus, Output, Score, ViewAge, unpacked
from tidemark_client.values import text_of, timestamp_of, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp
    from tidemark.common.v1.value_pb2 import Value
    from tidemark.scoring.v1.output_pb2 import Output as OutputMessage

    from tidemark_client.requests import Outcome
    from tidemark_client.values import Scalar

MOST_BYTES: Final = MAX_MESSAGE_BYTES - 64 * 1024
"""Of a request, or of those that travel together: the rest is for what is around them."""
_LAST_REVISION: Final = 2**63 - 1
_Given = TypeVar("_Given")
_STATUSES: Final = {status.value: status for status in FeatureStatus}


def score_request(request: ScoringRequest, new_id: Callable[[], str]) -> scoring_pb.ScoreRequest:
    """Write a request. It has its prediction id from here on, so that repeating it counts once.

    Raises:
        InvalidRequest: A field is of a type that cannot be sent, or the whole is too large.
        TypeError: It is no request.
    """
    if not isinstance(request, ScoringRequest):
        raise TypeError(f"a {type(request).__name__} was given where a ScoringRequest is asked")
    message = scoring_pb.ScoreRequest(
        model=text_of("model", request.model),
        entities=_entities(request.entities),
        context=_context(request.context),
        request_time=_time("request_time", request.request_time),
        prediction_id=text_of("prediction_id", request.prediction_id or new_id()),
        request_key=text_of("request_key", request.request_key or ""),
        explain_features=request.explain,
    )
    if message.ByteSize() > MOST_BYTES:
        raise InvalidRequest("", f"takes {message.ByteSize():,} bytes: at most {MOST_BYTES:,} are sent")
    return message


def score_of(asked: scoring_pb.ScoreRequest, reply: scoring_pb.ScoreResponse) -> Score:
    """Read an answer beside what was asked, which knows the request key."""
    return Score(
        prediction_id=reply.prediction_id,
        request_key=asked.request_key or reply.prediction_id,
        score=reply.score,
        model=reply.model,
        version=reply.version,
        variant=reply.variant,
        statuses=tuple(map(_status, reply.feature_statuses)),
        features=tuple(_feature(one) for one in reply.features),
        outputs={one.name: _output(one) for one in reply.outputs},
    )


def features_request(
    model: str | None,
    names: Sequence[str] | None,
    entities: Mapping[str, str],
    context: Mapping[str, Scalar],
    request_time: datetime | None,
) -> features_pb.GetRequest:
    """Write a question about features: of a model's, or of those named.

    Raises:
        InvalidRequest: Both or neither are named, or a field is of a type that cannot be sent.
    """
    if (model is None) == (names is None):
        raise InvalidRequest("model", "name either a model or features, and not both")
    if isinstance(names, str):
        raise InvalidRequest("features", "is a str: give a list of full names")
    message = features_pb.GetRequest(
        entities=_entities(entities),
        context=_context(context),
        request_time=_time("request_time", request_time),
    )
    if model is not None:
        message.model = text_of("model", model)
    if names is not None:
        message.features.names.extend(text_of(f"features[{at}]", name) for at, name in enumerate(names))
    return message


def features_of(reply: features_pb.GetResponse) -> Features:
    """Read features."""
    return Features(
        features=tuple(_feature(one) for one in reply.features),
        views=tuple(
            ViewAge(
                one.view, one.age_seconds if one.HasField("age_seconds") else None, one.version, one.complete
            )
            for one in reply.views
        ),
        contract_hash=reply.contract_hash,
    )


def report_requests(outcomes: Iterable[Outcome], most: int) -> list[outcomes_pb.ReportRequest]:
    """Write outcomes, in as few messages of at most so many as hold them.

    Raises:
        InvalidRequest: A field is of a type that cannot be sent, or one outcome is too large.
    """
    messages: list[outcomes_pb.ReportRequest] = []
    total = 0
    for index, outcome in enumerate(outcomes):
        written = _outcome(f"outcomes[{index}].", outcome)
        size = written.ByteSize() + 8  # 8 bytes frame it
        if size > MOST_BYTES:
            raise InvalidRequest(
                f"outcomes[{index}]", f"takes {size:,} bytes: at most {MOST_BYTES:,} are sent"
            )
        if not messages or len(messages[-1].outcomes) == most or total + size > MOST_BYTES:
            messages.append(outcomes_pb.ReportRequest())
            total = 0
        messages[-1].outcomes.append(written)
        total += size
    return messages


def _outcome(field: str, outcome: Outcome) -> outcomes_pb.ReportedOutcome:
    number = value_of(f"{field}value", outcome.value)
    if number.WhichOneof("kind") not in {"number", "flag"}:
        raise InvalidRequest(f"{field}value", f"is a {type(outcome.value).__name__}: give a bool or a number")
    return outcomes_pb.ReportedOutcome(
        label=text_of(f"{field}label", outcome.label),
        request_key=text_of(f"{field}request_key", outcome.request_key),
        value=float(outcome.value),
        revision=_revision(f"{field}revision", outcome.revision),
        outcome_time=_time(f"{field}outcome_time", outcome.outcome_time),
        recorded_time=_time(f"{field}recorded_time", outcome.recorded_time),
    )


def _revision(field: str, revision: object) -> int:
    if not isinstance(revision, int) or not 0 <= revision <= _LAST_REVISION:
        raise InvalidRequest(field, f"is {revision!r}: revisions are whole numbers from 0")
    return int(revision)


def _entities(entities: Mapping[str, str]) -> dict[str, str]:
    return {
        text_of("entities", name): text_of(f"entities[{name}]", key)
        for name, key in _items("entities", entities)
    }


def _context(context: Mapping[str, Scalar]) -> dict[str, Value]:
    return {
        text_of("context", name): value_of(f"context[{name}]", value)
        for name, value in _items("context", context)
    }


def _items(field: str, given: Mapping[str, _Given]) -> Iterable[tuple[str, _Given]]:
    if not isinstance(given, Mapping):
        raise InvalidRequest(field, f"is a {type(given).__name__}: give a mapping by name")
    return given.items()


def _time(field: str, time: datetime | None) -> Timestamp | None:
    return None if time is None else timestamp_of(field, time)


def _status(number: int) -> FeatureStatus:
    return _STATUSES.get(number, FeatureStatus.UNSPECIFIED)


def _output(message: OutputMessage) -> Output:
    values = unpacked(message.datatype, message.values, message.texts)
    return Output(message.name, message.datatype, tuple(message.shape), values)


def _feature(message: scoring_pb.FeatureValue | features_pb.Feature) -> Feature:
    return Feature(message.name, message.value, _status(message.status))
