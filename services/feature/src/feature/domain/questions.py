"""What is asked of features, and when it is asked well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from feature_store import Requests
from feature_store.expressions.types import column_of
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

from feature.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feature_store import FieldType
    from feature_store.contract import Contract

MAX_QUESTIONS: Final = 1_000


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
        raise InvalidRequest(f"{question.field}request_time", NO_TIME)
    for name in contract.entities:
        field = f"{question.field}entities[{name}]"
        if name not in question.entities:
            raise InvalidRequest(field, "is missing: features are looked up by it")
        if is_longer(question.entities[name], MAX_KEY_BYTES):
            raise InvalidRequest(field, f"is longer than {MAX_KEY_BYTES} bytes")
    for name, kind in contract.inputs.items():
        problem = _problem_of(question.context.get(name), kind)
        if problem:
            raise InvalidRequest(f"{question.field}context[{name}]", problem)


def _problem_of(value: Scalar | None, kind: FieldType) -> str | None:
    """Say what is wrong with an input."""
    if value is None:
        return f"is missing: a feature reads a {kind}"
    given = KIND_OF[type(value)]
    if given is not kind:
        return f"must be a {kind}, is a {given}"
    return problem_with(value)
