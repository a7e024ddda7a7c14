"""Protobuf's enums, times and numbers in the words that commands print."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from bus.times import format_rfc3339
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message

from tidemark_cli.failures import Failure

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_SHOWN_AT_MOST = 5


def word(enum: EnumDescriptor, number: int) -> str:
    """Returns an enum's value as a word: ALERT_STATE_FIRING is `firing`; an unknown number, as it is."""
    known = enum.values_by_number
    if number not in known:
        return str(number)
    return known[number].name.removeprefix(_prefix(enum)).lower().replace("_", "-")


def words_of(enum: EnumDescriptor) -> list[str]:
    """Returns every value of an enum as a word, in its order, without the one that says nothing."""
    return [word(enum, value.number) for value in enum.values if value.number]


def _prefix(enum: EnumDescriptor) -> str:
    return str(enum.values_by_number[0].name).removesuffix("UNSPECIFIED")


def moment(message: Message, field: str) -> str | None:
    """Returns a field that is a time, RFC 3339; None where it is not set."""
    if not message.HasField(field):
        return None
    timestamp: Timestamp = getattr(message, field)
    return format_rfc3339(timestamp.ToMicroseconds())


def optional(message: Message, field: str) -> float | None:
    """Returns a number that may be unset."""
    return float(getattr(message, field)) if message.HasField(field) else None


def figure(value: float | None) -> str:
    """Returns a number for people, four digits; a dash for none."""
    return "-" if value is None else f"{value:.4g}"


def share(weight_basis_points: int) -> str:
    """Returns a share of the requests in percent."""
    return f"{weight_basis_points / 100:g} %"


def pick(given: str, names: Iterable[str], *, what: str, look: str, likely: Collection[str] = ()) -> str:
    """Returns the one name that is meant.

    That is the very name; or the only one whose last part, behind a colon, is what was given; or the only one
    that has it anywhere.

    Args:
        given: What somebody wrote.
        names: What there is.
        what: What it names, for people.
        look: The command that lists them.
        likely: Those that are meant where several could be, if it is one only.

    Raises:
        Failure: none has it, or several.
    """
    known = list(dict.fromkeys(names))
    for found in (
        [name for name in known if name == given],
        [name for name in known if name.endswith(f":{given}")],
        [name for name in known if given in name],
    ):
        meant = found if len(found) == 1 else [name for name in found if name in likely]
        if len(meant) == 1:
            return meant[0]
    if not found:
        raise Failure(f"there is no {what} {given!r}: `{look}` lists them")
    some = ", ".join(found[:_SHOWN_AT_MOST]) + (" and more" if len(found) > _SHOWN_AT_MOST else "")
    raise Failure(f"{given!r} may be {some}: say more of the name")
