"""What an inference request of the Open Inference Protocol asks: features looked up, or vectors given.

The grammar of names is in `docs/open-inference.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from feature_store.scalars import is_longer

from inference.domain.cells import integer_of, scalar_of, text_of, time_of
from inference.domain.errors import InvalidRequest
from inference.domain.requests import MAX_BATCH, MAX_PREDICTION_ID_BYTES, Asked, check_names, recorded_time
from inference.domain.tensors import BYTES

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from feature_store import Contract
    from feature_store.scalars import Scalar
    from numpy.typing import NDArray

    from inference.domain.cells import Cell
    from inference.domain.tensors import Tensor

ENTITY: Final = "entity."
CONTEXT: Final = "context."
REQUEST_TIME: Final = "request_time"
REQUEST_KEY: Final = "request_key"
FEATURES: Final = "features"
TIMEOUT: Final = "timeout"

_LONGEST_US: Final = 2**63
_LARGEST: Final = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, eq=False)
class Inference:
    """A request of the protocol, whatever carried it.

    Attributes:
        version: Which version answers; empty where the route decides.
        id: The caller's name for it; empty for none.
        outputs: The names of the outputs wanted; empty for all that are given unasked.
    """

    model: str
    version: str
    id: str
    parameters: Mapping[str, Cell]
    inputs: Sequence[Tensor]
    outputs: Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """An inference request, read.

    Attributes:
        rows: One request a row.
        vectors: float32[n, F], finite, in the contract's order; None where features are to be looked up.
    """

    rows: Sequence[Asked]
    vectors: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is known of a request beside what it says.

    Attributes:
        now_us: The clock, for requests without a time.
        base_id: The prediction id of one row; row r of many is `<base_id>:<r>`.
        traceparent: The caller's trace.
    """

    now_us: int
    base_id: str
    traceparent: str | None


def read(
    inference: Inference, contract: Contract, matrix_names: Collection[str], receipt: Receipt
) -> Question:
    """Read a request for a model.

    Args:
        inference: The request.
        contract: The model's.
        matrix_names: What the matrix of all features may be called.
        receipt: What is known beside.

    Raises:
        InvalidRequest: Naming the tensor or parameter, and the row.
    """
    _check_once("inputs", [tensor.name for tensor in inference.inputs])
    about = {tensor.name: tensor for tensor in inference.inputs if _is_about_rows(tensor.name)}
    given = {tensor.name: tensor for tensor in inference.inputs if tensor.name not in about}
    n = _rows_of([*about.values(), *given.values()])
    table = _Table(about, inference.parameters, n)
    if not given:
        return Question(_looked_up(inference.model, table, contract, receipt), None)
    if table.names(ENTITY) or table.names(CONTEXT):
        known = [*table.names(ENTITY), *table.names(CONTEXT)]
        raise InvalidRequest(
            f"inputs[{next(iter(given))}]",
            f"gives features, and {known[0]} asks for them to be looked up: give one or the other",
        )
    vectors = _vectors(given, contract, matrix_names, n)
    return Question(_asked(inference.model, table, {}, {}, receipt), vectors)


def _is_about_rows(name: str) -> bool:
    return name.startswith((ENTITY, CONTEXT)) or name in {REQUEST_TIME, REQUEST_KEY}


def _check_once(field: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidRequest(f"{field}[{name}]", "is there twice")
        seen.add(name)


def _rows_of(tensors: Sequence[Tensor]) -> int:
    """How many rows they all have; 1 where there is no tensor, for parameters ask for one row."""
    if not tensors:
        return 1
    first = tensors[0]
    n = first.shape[0]
    for tensor in tensors:
        if tensor.shape[0] != n:
            raise InvalidRequest(
                f"inputs[{tensor.name}].shape", f"has {tensor.shape[0]} rows, inputs[{first.name}] has {n}"
            )
    if not 1 <= n <= MAX_BATCH:
        raise InvalidRequest(f"inputs[{first.name}].shape", f"has {n} rows, 1 to {MAX_BATCH:,} are scored")
    return n


class _Table:
    """What is said of each row by name, by a tensor of its own or by a parameter for all."""

    def __init__(self, tensors: Mapping[str, Tensor], parameters: Mapping[str, Cell], n: int) -> None:
        self._tensors = tensors
        self._parameters = {name: value for name, value in parameters.items() if _is_about_rows(name)}
        self.n = n
        for name in tensors:
            if name in self._parameters:
                raise InvalidRequest(f"parameters[{name}]", "is given as a tensor, too: give one of them")

    def names(self, prefix: str) -> list[str]:
        """The names that begin so."""
        return [name for name in (*self._tensors, *self._parameters) if name.startswith(prefix)]

    def column(self, name: str) -> list[tuple[str, Cell]]:
        """By row, where it stands, for a complaint, and what stands there; empty where nothing does."""
        if name in self._parameters:
            return [(f"parameters[{name}]", self._parameters[name])] * self.n
        if name not in self._tensors:
            return []
        tensor = self._tensors[name]
        check_column(tensor)
        return [(f"inputs[{name}][{row}]", cell) for row, cell in enumerate(tensor.values.tolist())]


def check_column(tensor: Tensor) -> None:
    """Refuse a tensor that has not one element a row.

    Raises:
        InvalidRequest: It is not [n] or [n, 1].
    """
    if len(tensor.shape) > 2 or tensor.shape[1:] not in {(), (1,)}:
        raise InvalidRequest(
            f"inputs[{tensor.name}].shape", f"is {list(tensor.shape)}, must be [n] or [n, 1]: one a row"
        )


def _looked_up(model: str, table: _Table, contract: Contract, receipt: Receipt) -> Sequence[Asked]:
    # Before each name is repeated for each row: together they could be more than memory holds.
    check_names("entities", [name.removeprefix(ENTITY) for name in table.names(ENTITY)])
    check_names("context", [name.removeprefix(CONTEXT) for name in table.names(CONTEXT)])
    entities = {
        name.removeprefix(ENTITY): [text_of(*cell) for cell in table.column(name)]
        for name in table.names(ENTITY)
    }
    context = {
        name.removeprefix(CONTEXT): [
            scalar_of(*cell, contract.inputs.get(name.removeprefix(CONTEXT))) for cell in table.column(name)
        ]
        for name in table.names(CONTEXT)
    }
    return _asked(model, table, entities, context, receipt)


def _asked(
    model: str,
    table: _Table,
    entities: Mapping[str, Sequence[str]],
    context: Mapping[str, Sequence[Scalar]],
    receipt: Receipt,
) -> Sequence[Asked]:
    times_us = [time_of(*cell) for cell in table.column(REQUEST_TIME)] or [receipt.now_us] * table.n
    ids = row_ids(receipt.base_id, table.n)
    if is_longer(ids[-1], MAX_PREDICTION_ID_BYTES):
        of_row = " with the row behind it" if table.n > 1 else ""
        raise InvalidRequest("id", f"is longer than {MAX_PREDICTION_ID_BYTES} bytes{of_row}")
    keys = [text_of(*cell) for cell in table.column(REQUEST_KEY)] or [""] * table.n
    return [
        Asked(
            model=model,
            entities={name: column[row] for name, column in entities.items()},
            context={name: column[row] for name, column in context.items()},
            request_time_us=times_us[row],
            prediction_id=ids[row],
            request_key=keys[row] or ids[row],
            recorded_time_us=recorded_time(times_us[row], receipt.now_us),
            traceparent=receipt.traceparent,
        )
        for row in range(table.n)
    ]


def row_ids(base_id: str, n: int) -> list[str]:
    """The prediction ids of the rows of a request."""
    return [base_id] if n == 1 else [f"{base_id}:{row}" for row in range(n)]


def timeout_s(parameters: Mapping[str, Cell]) -> float | None:
    """How long the caller waits by the parameter `timeout`, in microseconds there; 0 is for ever.

    Raises:
        InvalidRequest: It is no count of microseconds.
    """
    given = parameters.get(TIMEOUT)
    if given is None:
        return None
    timeout_us = integer_of(f"parameters[{TIMEOUT}]", given)
    if timeout_us < 0:
        raise InvalidRequest(f"parameters[{TIMEOUT}]", "is negative, must be microseconds of 0 or more")
    # Nobody waits longer, and a number without end is no float.
    return min(timeout_us, _LONGEST_US) / 1e6 if timeout_us else None


def _vectors(
    given: Mapping[str, Tensor], contract: Contract, matrix_names: Collection[str], n: int
) -> NDArray[np.float32]:
    names = contract.feature_names
    for name, tensor in given.items():
        is_feature = name in names
        if not is_feature and name not in matrix_names:
            raise InvalidRequest(
                f"inputs[{name}]",
                f"is nothing that {contract.model!r} reads: give `{FEATURES}`, one tensor a feature, "
                f"or {ENTITY}* and {CONTEXT}* to have features looked up",
            )
        if tensor.datatype == BYTES:
            raise InvalidRequest(f"inputs[{name}].datatype", _no_texts(contract.vocabularies.get(name)))
        if not is_feature:
            return _matrix(given, tensor, contract, n)
    return _columns(given, contract, n)


def _no_texts(members: Sequence[str] | None) -> str:
    if members is None:
        return "is BYTES, features are numbers"
    return f"is BYTES, features are numbers: of this one, the place from 0 among {', '.join(members)}"


def _matrix(given: Mapping[str, Tensor], tensor: Tensor, contract: Contract, n: int) -> NDArray[np.float32]:
    width = len(contract.feature_names)
    if len(given) > 1:
        other = next(name for name in given if name != tensor.name)
        raise InvalidRequest(f"inputs[{other}]", f"is beside {tensor.name}, which gives every feature")
    if tensor.shape != (n, width):
        raise InvalidRequest(
            f"inputs[{tensor.name}].shape",
            f"is {list(tensor.shape)}, must be [n, {width}]: the features in order",
        )
    vectors = _as_numbers(tensor).reshape(n, width)
    wrong = np.argwhere(~np.isfinite(vectors))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise _not_finite(f"{tensor.name}][{row}, {column}", contract.feature_names[column])
    return vectors


def _columns(given: Mapping[str, Tensor], contract: Contract, n: int) -> NDArray[np.float32]:
    lacking = [name for name in contract.feature_names if name not in given]
    if lacking:
        raise InvalidRequest(
            "inputs",
            f"lack {', '.join(lacking[:5])}{' and more' if len(lacking) > 5 else ''}: "
            f"give every feature of {contract.model!r}, or what they are looked up by",
        )
    vectors = np.empty((n, len(contract.feature_names)), np.float32)
    for number, name in enumerate(contract.feature_names):
        check_column(given[name])
        vectors[:, number] = column = _as_numbers(given[name])
        wrong = np.flatnonzero(~np.isfinite(column))
        if len(wrong):
            raise _not_finite(f"{name}][{wrong[0]}", name)
    return vectors


def _as_numbers(tensor: Tensor) -> NDArray[np.float32]:
    """Return its elements as a vector has them: rounded to float32, and no zero with a sign."""
    with np.errstate(over="ignore"):
        return tensor.values.astype(np.float32) + np.float32(0)


def _not_finite(where: str, feature: str) -> InvalidRequest:
    return InvalidRequest(
        f"inputs[{where}]", f"is no finite number of at most {_LARGEST:.8g}, which feature {feature} must be"
    )
