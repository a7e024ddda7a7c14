"""Single values of inference requests, as an element of a tensor or a parameter has them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from bus.times import parse_rfc3339
from feature_store import FieldType

from inference.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from feature_store.scalars import Scalar

Cell = bool | int | float | str | bytes
"""A parameter's value, or an element: `bytes` is the UTF-8 of a text."""


def text_of(field: str, cell: Cell) -> str:
    """Read a text.

    Raises:
        InvalidRequest: It is none.
    """
    if isinstance(cell, str):
        return cell
    if not isinstance(cell, bytes):
        raise _wrong(field, "a text (BYTES)", cell)
    try:
        return cell.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(field, f"is no UTF-8: {error.reason} at byte {error.start}") from error


def integer_of(field: str, cell: Cell) -> int:
    """Read a whole number.

    Raises:
        InvalidRequest: It is none.
    """
    if isinstance(cell, bool) or not isinstance(cell, int):
        raise _wrong(field, "a whole number", cell)
    return cell


def time_of(field: str, cell: Cell) -> int:
    """Read a time, as whole microseconds since the epoch or RFC 3339.

    Raises:
        InvalidRequest: It is none.
    """
    if isinstance(cell, int) and not isinstance(cell, bool):
        return cell
    if not isinstance(cell, str | bytes):
        raise _wrong(field, "a time: whole microseconds since the epoch, or RFC 3339", cell)
    try:
        return parse_rfc3339(text_of(field, cell))
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(field, f"is no time: {error}") from error


def number_of(field: str, cell: Cell) -> float:
    """Read a number, exactly.

    Raises:
        InvalidRequest: It is none, or a whole number that no double is equal to.
    """
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        raise _wrong(field, "a number", cell)
    try:
        number = float(cell)
    except OverflowError:
        number = math.inf
    if isinstance(cell, int) and number != cell:
        raise InvalidRequest(field, "is a whole number to which no double is equal")
    return number


def flag_of(field: str, cell: Cell) -> bool:
    """Read a flag.

    Raises:
        InvalidRequest: It is none.
    """
    if not isinstance(cell, bool):
        raise _wrong(field, "a flag (BOOL)", cell)
    return cell


_READ: Final[Mapping[FieldType, Callable[[str, Cell], Scalar]]] = {
    FieldType.NUMBER: number_of,
    FieldType.TEXT: text_of,
    FieldType.FLAG: flag_of,
    FieldType.TIME: time_of,
}


def scalar_of(field: str, cell: Cell, kind: FieldType | None) -> Scalar:
    """Read a request-time input.

    Args:
        field: Where it stands.
        cell: What stands there.
        kind: What the model reads; None where no feature reads it, and it is only recorded.

    Raises:
        InvalidRequest: It is not of that type.
    """
    if kind is not None:
        return _READ[kind](field, cell)
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, int | float):
        return number_of(field, cell)
    return text_of(field, cell)


def _wrong(field: str, wanted: str, cell: Cell) -> InvalidRequest:
    kinds = {bool: "a flag", int: "a whole number", float: "a number", str: "a text", bytes: "a text"}
    return InvalidRequest(field, f"must be {wanted}, is {kinds[type(cell)]}")
