"""What is asked, and when it is asked well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from feature_store.scalars import (
    EARLIEST_US,
    KIND_OF,
    LATEST_US,
    MAX_KEY_BYTES,
    NO_TIME,
    Scalar,
    is_longer,
    problem_with,
)

from inference.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from feature_store import FieldType

MAX_PREDICTION_ID_BYTES: Final = 128
MAX_REQUEST_KEY_BYTES: Final = 256
MAX_NAME_BYTES: Final = 128
MAX_NAMES: Final = 64
MAX_BATCH: Final = 1000


@dataclass(slots=True)
class Asked:
    """One scoring request.

    Attributes:
        request_time_us: The `as of` of its features.
        prediction_id: The caller's, or a generated one.
        request_key: By which an outcome finds the prediction.
        recorded_time_us: When the prediction became known to us: see `recorded_time`.
        traceparent: The caller's trace, which the prediction's event continues.
    """

    model: str
    entities: Mapping[str, str]
    context: Mapping[str, Scalar]
    request_time_us: int
    prediction_id: str
    request_key: str
    recorded_time_us: int
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a model needs of a request.

    Attributes:
        entities: Names of the entities whose keys must be given; an empty key is a key that has no row.
        inputs: Name to type of the request-time inputs that must be given.
        sticky_entity: The entity by whose key the route assigns arms; empty when by the request key.
    """

    entities: tuple[str, ...]
    inputs: Mapping[str, FieldType]
    sticky_entity: str


def recorded_time(request_time_us: int, now_us: int) -> int:
    """When a prediction became known: its own time, so that a replay records what the original run did.

    A request about the future is known now: readers of the bus refuse facts recorded in the future.
    """
    return min(request_time_us, now_us)


def check_shape(asked: Asked) -> None:
    """Refuse what no model could read, before anything is looked up.

    Raises:
        InvalidRequest: Naming the field.
    """
    if not asked.model:
        raise InvalidRequest("model", "is empty: name the model to score with")
    if is_longer(asked.model, MAX_NAME_BYTES):
        raise _too_long("model", MAX_NAME_BYTES)
    if is_longer(asked.prediction_id, MAX_PREDICTION_ID_BYTES):
        raise _too_long("prediction_id", MAX_PREDICTION_ID_BYTES)
    if is_longer(asked.request_key, MAX_REQUEST_KEY_BYTES):
        raise _too_long("request_key", MAX_REQUEST_KEY_BYTES)
    if not EARLIEST_US <= asked.request_time_us < LATEST_US:
        raise InvalidRequest("request_time", NO_TIME)
    check_names("entities", asked.entities)
    for name, key in asked.entities.items():
        if is_longer(key, MAX_KEY_BYTES):
            raise _too_long(f"entities[{name}]", MAX_KEY_BYTES)
    check_names("context", asked.context)
    for name, value in asked.context.items():
        problem = problem_with(value)
        if problem is not None:
            raise InvalidRequest(f"context[{name}]", problem)


def check_requirements(asked: Asked, required: Requirements) -> None:
    """Refuse a request that lacks what the model's features need.

    Raises:
        InvalidRequest: Naming the entity or the input, and the type it must have.
    """
    for name in required.entities:
        if name not in asked.entities:
            raise InvalidRequest(f"entities[{name}]", f"is missing: {asked.model!r} looks features up by it")
    sticky = required.sticky_entity
    if sticky and not asked.entities.get(sticky):
        raise InvalidRequest(f"entities[{sticky}]", "is missing: the route assigns arms by it")
    for name, kind in required.inputs.items():
        value = asked.context.get(name)
        if value is None:
            raise InvalidRequest(f"context[{name}]", f"is missing: {asked.model!r} reads a {kind}")
        if KIND_OF[type(value)] is not kind:
            raise InvalidRequest(f"context[{name}]", f"must be a {kind}, is a {KIND_OF[type(value)]}")


def _too_long(field: str, limit: int) -> InvalidRequest:
    return InvalidRequest(field, f"is longer than {limit} bytes")


def check_names(field: str, names: Collection[str]) -> None:
    """Refuse more names than are read, or one that is too long.

    Raises:
        InvalidRequest: Naming the field.
    """
    if len(names) > MAX_NAMES:
        raise InvalidRequest(field, f"has {len(names)} entries, at most {MAX_NAMES} are read")
    for name in names:
        if is_longer(name, MAX_NAME_BYTES):
            raise InvalidRequest(field, f"has a name that is longer than {MAX_NAME_BYTES} bytes")
