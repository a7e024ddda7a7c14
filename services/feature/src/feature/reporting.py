"""Outcomes that callers report: held to their label, then told like those that events tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bus.errors import Unavailable
from feature_store import FieldType
from feature_store.errors import did_you_mean
from feature_store.scalars import EARLIEST_US, LATEST_US, is_longer

from feature.domain.errors import InvalidRequest, LogAway, NotDeclared
from feature.domain.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from feature_store import Label, Project
    from feature_store.concealment import Concealment

    from feature.ports import Outcomes

MAX_OUTCOMES: Final = 1_000
MAX_REQUEST_KEY_BYTES: Final = 256
"""As long as a scoring request's may be."""


@dataclass(frozen=True, slots=True)
class Reported:
    """An outcome as a caller reports it.

    Attributes:
        time_us: When it was true, None for when it became known.
        recorded_time_us: When it became known, None for now.
    """

    label: str
    request_key: str
    value: float
    revision: int
    time_us: int | None
    recorded_time_us: int | None


class OutcomeDoor:
    """Takes outcomes of the project's labels.

    Args:
        project: Whose labels.
        outcomes: Where they are told.
        told: Counts what was told.
        concealment: Hashes the request keys that are kept hashed; None where none is.
    """

    def __init__(
        self,
        project: Project,
        outcomes: Outcomes,
        told: Callable[[Sequence[Outcome]], None],
        concealment: Concealment | None = None,
    ) -> None:
        self._labels = project.labels
        self._outcomes = outcomes
        self._told = told
        self._concealment = concealment

    async def report(
        self, reported: Sequence[Reported], *, now_us: int, traceparent: str | None = None
    ) -> None:
        """Tell outcomes once all are well-formed; return when they are in the log.

        The same label, request key and revision again make an event of the same id.

        Raises:
            NotDeclared: The project has no such label.
            InvalidRequest: Naming the outcome and the field that is wrong. None is told.
            LogAway: Kafka refused; some may be there, and all may be reported again.
        """
        if not 1 <= len(reported) <= MAX_OUTCOMES:
            raise InvalidRequest(
                "outcomes", f"has {len(reported)} entries, which must be 1 to {MAX_OUTCOMES:,}"
            )
        outcomes = [
            self._outcome(f"outcomes[{index}]", one, now_us, traceparent)
            for index, one in enumerate(reported)
        ]
        try:
            await self._outcomes.tell(outcomes)
        except Unavailable as error:
            raise LogAway(f"not published: {error}; report the same again") from error
        self._told(outcomes)

    def _outcome(self, field: str, one: Reported, now_us: int, traceparent: str | None) -> Outcome:
        label = self._label(field, one.label)
        _check(field, one, label)
        time_us, recorded_us = _times(field, one, label, now_us)
        return Outcome(
            one.label, self._key(one), one.value, time_us, recorded_us, traceparent, revision=one.revision
        )

    def _label(self, field: str, name: str) -> Label:
        if name not in self._labels:
            hint = did_you_mean(name, self._labels)
            raise NotDeclared(f"{field}.label", f"there is no {name!r}. {hint}")
        return self._labels[name]

    def _key(self, one: Reported) -> str:
        if self._concealment is None:
            return one.request_key
        return self._concealment.request_key(one.label, one.request_key)


def _check(field: str, one: Reported, label: Label) -> None:
    if not one.request_key or is_longer(one.request_key, MAX_REQUEST_KEY_BYTES):
        raise InvalidRequest(f"{field}.request_key", f"must have 1 to {MAX_REQUEST_KEY_BYTES} bytes")
    if not math.isfinite(one.value):
        raise InvalidRequest(f"{field}.value", f"is {one.value}: it must be finite")
    if label.kind is FieldType.FLAG and one.value not in {0.0, 1.0}:
        raise InvalidRequest(f"{field}.value", f"is {one.value:g}: {label.name!r} is a condition, so 0 or 1")
    if one.revision < 0:
        raise InvalidRequest(f"{field}.revision", f"is {one.revision}: revisions count from 0")


def _times(field: str, one: Reported, label: Label, now_us: int) -> tuple[int, int]:
    """Return when it was true and when it became known."""
    recorded_us = now_us if one.recorded_time_us is None else one.recorded_time_us
    if not EARLIEST_US <= recorded_us <= now_us:
        raise InvalidRequest(f"{field}.recorded_time", "must be from 1970 to now: it is when it became known")
    time_us = recorded_us if one.time_us is None else one.time_us
    if not EARLIEST_US <= time_us < LATEST_US:
        raise InvalidRequest(f"{field}.outcome_time", "must be from 1970 to before 2200, UTC")
    if time_us > recorded_us + label.source.max_clock_skew_us:
        raise InvalidRequest(f"{field}.outcome_time", "is later than recorded_time: known before it was true")
    return time_us, recorded_us
