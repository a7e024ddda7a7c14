"""Reasons in words: the same explanation gives the same texts, to the byte."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np
from feature_store import Status
from feature_store.definitions.words import SHARE

from inference.domain.explanations import strongest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feature_store.said import Said

    from inference.domain.explanations import Explained, Subject

_THOUSAND: Final = 1_000
_BECAUSE: Final = {
    Status.MISSING: "not known, its default stands for it; ",
    Status.STALE: "too old, its default stands for it; ",
    Status.DEFAULTED: "not readable in time, its default stands for it; ",
}


class Direction(IntEnum):
    """Which way a feature moved the value, numbered as in the contract."""

    RAISES = 1
    LOWERS = 2


@dataclass(frozen=True, slots=True)
class Reason:
    """What a feature did, in words."""

    feature: str
    direction: Direction
    contribution: float
    text: str


def reasons_of(
    explained: Explained, subject: Subject, said: Sequence[Said], *, each: int, score_words: str
) -> tuple[Reason, ...]:
    """Return the strongest reasons, so many of each direction.

    Args:
        explained: What each feature added.
        subject: The values, and what became of them.
        said: How each feature is said, in the order of the vector.
        each: How many of those that raise the value, and of those that lower it.
        score_words: What the value is called.
    """
    contributions = explained.attribution.plain.contributions
    return tuple(
        _reason(at, explained, subject, said[at], score_words) for at in strongest(contributions, each)
    )


def _reason(at: int, explained: Explained, subject: Subject, said: Said, score_words: str) -> Reason:
    contribution = float(explained.attribution.plain.contributions[at])
    direction = Direction.RAISES if contribution > 0 else Direction.LOWERS
    unit = said.words.unit
    sentence = said.words.sentence.format(
        key=_key_of(said.entity, subject.entities), value=quantity(float(subject.values[at]), unit)
    )
    because = _BECAUSE.get(Status(int(subject.statuses[at])), "") if subject.statuses[at] else ""
    usual = quantity(float(explained.usual[at]), unit)
    verb = direction.name.lower()
    text = f"{sentence} ({because}usual: {usual}): {verb} the {score_words} by {number(abs(contribution), 2)}"
    return Reason(said.name, direction, contribution, text)


def _key_of(entity: tuple[str, ...], entities: Mapping[str, str]) -> str:
    if not entity:
        return "this request"
    keys = [entities.get(part) for part in entity]
    if all(keys):
        return " and ".join(str(key) for key in keys)
    return f"this {' and '.join(part.replace('_', ' ') for part in entity)}"


def quantity(value: float, unit: str) -> str:
    """Write a value with its unit; a share as per cent."""
    if unit == SHARE:
        return f"{number(100 * value, 3)} %"
    return f"{number(value, 3)} {unit}".rstrip()


def number(value: float, digits: int) -> str:
    """Write a number to so many significant digits, without an exponent; whole from a thousand on."""
    if abs(value) >= _THOUSAND:
        return f"{value:,.0f}"
    return np.format_float_positional(value, precision=digits, unique=False, fractional=False, trim="-")
