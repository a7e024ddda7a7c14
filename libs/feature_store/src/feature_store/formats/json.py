"""JSON payloads as columns: one object a payload, in UTF-8.

Every declared field may be absent or null, unless `Check.required` says otherwise. Fields that are not
declared are passed over. A time is an RFC 3339 text with its offset.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from feature_store.errors import DefinitionError, caller
from feature_store.expressions import FieldType, column_of
from feature_store.formats.base import FIRST_SECOND, LAST_SECOND
from feature_store.rejects import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from feature_store.formats.base import Columns
    from feature_store.rejects import Rejects

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND_US: Final = 1_000_000
_SHOWN: Final = 60


class _Unreadable(Exception):
    """A value is not what its field declares; the arguments are the reason and the rest of the sentence."""

    def __init__(self, reason: Reason, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Json:
    """Payloads that are JSON objects with these fields."""

    fields: Mapping[str, FieldType]

    def __init__(self, fields: Mapping[str, str]) -> None:
        allowed = {kind.value: kind for kind in FieldType if kind is not FieldType.DURATION}
        for name, kind in fields.items():
            if kind not in allowed:
                raise DefinitionError(
                    f"Json field {name!r}",
                    f"there is no type {str(kind)!r}",
                    instead=f"Write one of {', '.join(allowed)}.",
                    at=caller(),
                )
        object.__setattr__(self, "fields", {name: allowed[kind] for name, kind in fields.items()})

    @property
    def name(self) -> str:
        """What the payload is: "json" and its fields."""
        return "json " + " ".join(f"{name}:{kind}" for name, kind in self.fields.items())

    def decode(self, values: Sequence[bytes], rejects: Rejects) -> Columns:
        """Return the columns of these payloads; see `Format.decode`."""
        documents = [_document(index, value, rejects) for index, value in enumerate(values)]
        return {
            name: column_of(kind, self._values(name, documents, rejects))
            for name, kind in self.fields.items()
        }

    def _values(self, name: str, documents: Sequence[dict[str, Any]], rejects: Rejects) -> list[Any]:
        read = _READERS[self.fields[name]]
        values: list[Any] = []
        for index, document in enumerate(documents):
            value = document.get(name)
            try:
                values.append(None if value is None else read(value))
            except _Unreadable as error:
                rejects.add(index, error.reason, f"{name} {error}.")
                values.append(None)
        return values


def _document(index: int, value: bytes, rejects: Rejects) -> dict[str, Any]:
    try:
        document = json.loads(value.decode())
    except (ValueError, RecursionError) as error:
        rejects.add(index, Reason.MALFORMED_PAYLOAD, f"The {len(value)} bytes are no JSON in UTF-8: {error}.")
        return {}
    if isinstance(document, dict):
        return document
    detail = f"The payload is a JSON {type(document).__name__}; it must be an object."
    rejects.add(index, Reason.MALFORMED_PAYLOAD, detail)
    return {}


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _Unreadable(Reason.WRONG_TYPE, f"is {_shown(value)}; it must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Unreadable(Reason.NOT_FINITE, f"is {number}; a number must be finite")
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Unreadable(Reason.WRONG_TYPE, f"is {_shown(value)}; it must be a text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _Unreadable(
                Reason.WRONG_TYPE, "holds half a surrogate pair; it must be a Unicode text"
            ) from None
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Unreadable(Reason.WRONG_TYPE, f"is {_shown(value)}; it must be true or false")
    return value


def _time(value: Any) -> int:
    try:
        time_us = (datetime.fromisoformat(value) - _EPOCH) // _MICROSECOND
    except (TypeError, ValueError):  # a time without an offset cannot be subtracted from one with: TypeError
        wanted = 'it must be a time such as "2013-01-01T05:00:00Z", with its offset'
        raise _Unreadable(Reason.WRONG_TYPE, f"is {_shown(value)}; {wanted}") from None
    if not FIRST_SECOND <= time_us // _SECOND_US <= LAST_SECOND:
        raise _Unreadable(Reason.TIME_OUT_OF_RANGE, f"is {_shown(value)}, which is no time in UTC")
    return time_us


def _shown(value: Any) -> str:
    shown = json.dumps(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


_READERS: Final[Mapping[FieldType, Callable[[Any], Any]]] = {
    FieldType.NUMBER: _number,
    FieldType.TEXT: _text,
    FieldType.FLAG: _flag,
    FieldType.TIME: _time,
}
