"""What is kept of a model, as JSON: an operator can read a changelog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from retrain_trigger.domain.state import ModelState  # noqa: TC001 - pydantic reads it
from retrain_trigger.ports import Addressed, Kept, UnreadableState


@dataclass(frozen=True, slots=True)
class _Record:
    """A row of the table; another shape takes another number."""

    state: ModelState
    untold: tuple[Addressed, ...]
    shape: Literal[1] = 1

    __pydantic_config__ = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


_RECORD: Final = TypeAdapter(_Record)


def encode(kept: Kept) -> bytes:
    """Write what is kept."""
    return _RECORD.dump_json(_Record(kept.state, kept.untold))


def decode(row: bytes) -> Kept:
    """Read what was kept.

    Raises:
        UnreadableState: It is of another shape; the message says what to do.
    """
    try:
        record = _RECORD.validate_json(row)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UnreadableState(
            f"a row of the table is of another shape, at {place}: {first['msg']}. Run the program that wrote "
            "it, or delete the changelog topic and begin anew"
        ) from error
    return Kept(record.state, record.untold)
