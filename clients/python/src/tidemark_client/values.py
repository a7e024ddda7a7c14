"""Python's values as the contracts' values, and the reasons why some cannot be."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from numbers import Integral, Real
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from tidemark.common.v1.value_pb2 import Value

from tidemark_client.errors import InvalidRequest

Scalar = bool | int | float | str | datetime
"""An input of a request. A datetime has a time zone."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_A_DAY: Final = 86_400
_FIRST_SECOND: Final = -62_135_596_800
_LAST_SECOND: Final = 253_402_300_799
"""What protobuf's Timestamp holds."""
_LARGEST_EXACT: Final = 2**53
"""Numbers travel as doubles: beyond this an int would silently become another."""


def value_of(field: str, value: object) -> Value:
    """Return an input as it travels.

    Args:
        field: Its path in the request, for errors.
        value: A bool, a real number (numpy's scalars too), a str, or a datetime with a time zone.

    Raises:
        InvalidRequest: It is something else, not finite, or a datetime without a time zone.
    """
    if isinstance(value, bool):
        return Value(flag=value)
    if isinstance(value, str):
        return Value(text=text_of(field, value))
    if isinstance(value, datetime):
        return Value(time=timestamp_of(field, value))
    if isinstance(value, Real):
        return Value(number=_number(field, value))
    raise InvalidRequest(field, f"is a {type(value).__name__}{_instead_of(value)}")


def timestamp_of(field: str, value: object) -> Timestamp:
    """Return a moment as it travels, to the microsecond.

    Raises:
        InvalidRequest: It is no datetime, or one without a time zone.
    """
    if not isinstance(value, datetime):
        raise InvalidRequest(field, f"is a {type(value).__name__}: give a datetime with a time zone")
    if value.utcoffset() is None:
        raise InvalidRequest(
            field, f"is {value.isoformat()} without a time zone: give one, e.g. datetime(..., tzinfo=UTC)"
        )
    since = value - _EPOCH
    seconds = since.days * _SECONDS_A_DAY + since.seconds
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        raise InvalidRequest(field, f"is {value.isoformat()}: in UTC, that is not within the years 1 to 9999")
    return Timestamp(seconds=seconds, nanos=since.microseconds * 1000)


def text_of(field: str, value: object) -> str:
    """Return a text that can travel.

    Raises:
        InvalidRequest: It is no str, or holds half of a surrogate pair, for which UTF-8 has no bytes.
    """
    if not isinstance(value, str):
        raise InvalidRequest(field, f"is a {type(value).__name__}: give a str")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidRequest(
                field, f"is {value!r}: at {error.start} it holds a lone surrogate, which is no character"
            ) from None
    return value


def _number(field: str, value: Real) -> float:
    if isinstance(value, Integral) and abs(int(value)) > _LARGEST_EXACT:
        raise InvalidRequest(
            field, f"is {value}: beyond 2**53 no double holds it; if it is a name, give a str"
        )
    number = float(value)
    if not math.isfinite(number):
        raise InvalidRequest(field, f"is {number}: a number must be finite; leave an unknown input's default")
    return number


def _instead_of(value: object) -> str:
    if value is None:
        return ": an input that is not known cannot be sent"
    if isinstance(value, date):
        return ": give a datetime with a time zone"
    return ": give a bool, a number, a str or a datetime with a time zone"
