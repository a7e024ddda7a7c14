"""What is asked of features, and when it is asked well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from feature_store import FieldType, Requests
from feature_store.expressions.types import column_of

from feature.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feature_store.contract import Contract

MAX_QUESTIONS: Final = 1_000
MAX_KEY_BYTES: Final = 256
MAX_TEXT_BYTES: Final = 1_024
EARLIEST_US: Final = 0
LATEST_US: Final = 7_258_118_400_000_000  # 2200-01-01T00:00:00Z

Scalar = float | str | bool | int
"""An input: float is a number, str a text, bool a flag, int a time in microseconds since the epoch."""

_KIND_OF: Final[Mapping[type, FieldType]] = {
    float: FieldType.NUMBER,
    str: FieldType.TEXT,
    bool: FieldType.FLAG,
    int: FieldType.TIME,
}


@dataclass(frozen=True, slots=True)
class Question:
    """One request for features.

    Attributes:
        field: Its path in the call, with a dot behind it; empty where it is the call itself.
        entities: Entity name to key.
        context: Input name to value.
        time_us: The `as of` of its features.
    """

    field: str
    entities: Mapping[str, str]
    context: Mapping[str, Scalar]
    time_us: int


def requests_of(contract: Contract, questions: Sequence[Question]) -> Requests:
    """Return questions as columns; entities and inputs that the contract does not read are passed over.

    Raises:
        InvalidRequest: Naming the field that is missing or wrong.
    """
    if not 1 <= len(questions) <= MAX_QUESTIONS:
        problem = f"has {len(questions)} entries, which must be 1 to {MAX_QUESTIONS:,}"
        raise InvalidRequest("questions", problem)
    for question in questions:
        check(question, contract)
    entities = {}
    for name in contract.entities:
        entities[name] = np.array([question.entities[name] for question in questions], np.object_)
    return Requests(
        np.array([question.time_us for question in questions], np.int64),
        entities,
        {
            name: column_of(kind, [question.context[name] for question in questions])
            for name, kind in contract.inputs.items()
        },
    )


def check(question: Question, contract: Contract) -> None:
    """Refuse a question that lacks what the contract's features read.

    Raises:
        InvalidRequest: Naming the field that is missing or wrong.
    """
    if not EARLIEST_US <= question.time_us < LATEST_US:
        raise InvalidRequest(f"{question.field}request_time", "must be from 1970 to before 2200, UTC")
    for name in contract.entities:
        field = f"{question.field}entities[{name}]"
        if name not in question.entities:
            raise InvalidRequest(field, "is missing: features are looked up by it")
        if len(question.entities[name].encode()) > MAX_KEY_BYTES:
            raise InvalidRequest(field, f"is longer than {MAX_KEY_BYTES} bytes")
    for name, kind in contract.inputs.items():
        problem = _problem_of(question.context.get(name), kind)
        if problem:
            raise InvalidRequest(f"{question.field}context[{name}]", problem)


def _problem_of(value: Scalar | None, kind: FieldType) -> str | None:
    """Say what is wrong with an input."""
    if value is None:
        return f"is missing: a feature reads a {kind}"
    given = _KIND_OF[type(value)]
    if given is not kind:
        return f"must be a {kind}, is a {given}"
    return _problem_with(value)


def _problem_with(value: Scalar) -> str | None:
    match value:
        case bool():
            return None
        case str() if len(value.encode()) > MAX_TEXT_BYTES:
            return f"is longer than {MAX_TEXT_BYTES} bytes"
        case float() if not math.isfinite(value):
            return "must be a finite number"
        case int() if not EARLIEST_US <= value < LATEST_US:
            return "must be a time from 1970 to before 2200, UTC"
        case _:
            return None
