"""What can be kept of a window of events: declarations, whose arithmetic is the engine's (`plans`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import TYPE_CHECKING, Any, ClassVar, Final

from feature_store.definitions.defaults import check_default
from feature_store.definitions.durations import window_us
from feature_store.definitions.typing import type_over_events
from feature_store.errors import DefinitionError, Location, caller
from feature_store.expressions import Field, FieldType
from feature_store.tiles import ALL_TIME_US

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from feature_store.definitions.sources import Source
    from feature_store.definitions.views import Feature, FeatureView
    from feature_store.definitions.words import Words
    from feature_store.expressions import Expression

_MOST_TILES: Final = 1_000


@dataclass(frozen=True, eq=False, kw_only=True)
class Aggregation:
    """A number kept of the events of a window, in tiles.

    Attributes:
        window: How far back it looks: "90s", "15m", "1h", "7d", a timedelta, or "all": at every event.
        where: Which events count; every event when left out.
        tiles: Into how many steps the window is cut. More are finer and cost memory in each row. All time is
            one tile, whatever this says.
        default: What a model sees when there is no value. It must be finite: missing is said by the feature's
            status, and by features that count.
        words: How it is said to people; part of no hash.
    """

    window: str | timedelta
    where: Expression | None = None
    tiles: int = 12
    default: float = 0.0
    words: Words | None = attribute(default=None, repr=False)
    location: Location | None = attribute(default_factory=caller, repr=False)
    window_us: int = attribute(init=False, repr=False)

    retractable: ClassVar[bool] = True
    """Whether an event can be taken back from it."""
    aggregates: ClassVar[frozenset[FieldType]] = frozenset({FieldType.NUMBER, FieldType.FLAG})
    """What `value` may be."""
    aggregates_instead: ClassVar[str] = (
        "Compare a text, or divide a duration by a timedelta, to get a number or a flag."
    )
    """What to write where it is something else."""

    def __post_init__(self) -> None:
        try:
            length_us = window_us(self.window)
        except (ValueError, TypeError) as error:
            instead = 'Write "90s", "15m", "1h", "7d", a timedelta, or "all".'
            raise self._error(f"window: {error}", instead) from error
        object.__setattr__(self, "window_us", length_us)
        if self.of_all_time:
            object.__setattr__(self, "tiles", 1)
        if not 1 <= self.tiles <= _MOST_TILES or length_us % self.tiles:
            problem = f"window {self.window!r} cannot be cut into {self.tiles} equal tiles"
            raise self._error(problem, f"Write 1 to {_MOST_TILES} tiles, a number that divides the window.")
        check_default(self.default, type(self).__name__, self.location)

    @property
    def of_all_time(self) -> bool:
        """Whether its window has no end."""
        return self.window_us == ALL_TIME_US

    @property
    def tile_us(self) -> int:
        """The length of a tile in microseconds."""
        return self.window_us // self.tiles

    @property
    def value(self) -> Expression | None:
        """What each event brings: a number or a flag; None where only the events are counted."""
        return None

    @property
    def counted(self) -> Expression | None:
        """The condition on the events that count; None where every event does."""
        return self.where

    def check(self, source: Source, definition: str) -> None:
        """Check what it reads against the source.

        Raises:
            DefinitionError: a field is unknown, or of a type that it cannot aggregate.
        """
        if self.counted is not None:
            kind = type_over_events(self.counted, source, definition, self.location)
            if kind is not FieldType.FLAG:
                instead = "Write a condition, such as field(...) >= 15."
                raise self._error(f"its condition is a {kind}", instead, definition)
        if self.value is not None:
            kind = type_over_events(self.value, source, definition, self.location)
            if kind not in self.aggregates:
                raise self._error(f"it aggregates a {kind}", self.aggregates_instead, definition)
        if source.retracts is not None and not self.retractable:
            problem = f"events of source {source.topic} can be taken back, and a {type(self).__name__} cannot"
            instead = "Use Count, Sum, Mean, Std, Share, Quantile or Ewma, or a source without retracts."
            raise self._error(problem, instead, definition)

    def canonical(self) -> dict[str, Any]:
        """Return everything that its value depends on, as JSON has it."""
        return {
            "aggregation": type(self).__name__,
            "window_us": self.window_us,
            "tiles": self.tiles,
            "default": float(self.default),
            "value": None if self.value is None else json.loads(self.value.canonical()),
            "counted": None if self.counted is None else json.loads(self.counted.canonical()),
            **self.parameters,
        }

    @property
    def parameters(self) -> Mapping[str, float | int | str]:
        """What its value depends on beside what every aggregation has."""
        return {}

    def __get__(self, view: object, owner: type[FeatureView]) -> Feature:
        """Return the feature that this aggregation is in the view whose class it is read from."""
        return owner.feature_of(self)

    def _error(self, problem: str, instead: str, definition: str = "") -> DefinitionError:
        return DefinitionError(definition or type(self).__name__, problem, instead=instead, at=self.location)


@dataclass(frozen=True, eq=False, kw_only=True)
class Count(Aggregation):
    """How many events count in the window; 0 is a value."""


@dataclass(frozen=True, eq=False)
class FieldAggregation(Aggregation):
    """An aggregation of a number of each event: a field's name, or an expression over the fields."""

    of: str | Expression

    @property
    def value(self) -> Expression:
        """The number that is aggregated."""
        return Field(self.of) if isinstance(self.of, str) else self.of


@dataclass(frozen=True, eq=False)
class Sum(FieldAggregation):
    """The sum of a number over the window; 0 is a value."""


@dataclass(frozen=True, eq=False)
class Mean(FieldAggregation):
    """The mean of a number over the window's events that have one."""


@dataclass(frozen=True, eq=False)
class Std(FieldAggregation):
    """The population's standard deviation (divided by n, not n - 1) of a number over the events with one."""


@dataclass(frozen=True, eq=False)
class Min(FieldAggregation):
    """The least number of the window."""

    retractable = False


@dataclass(frozen=True, eq=False)
class Max(FieldAggregation):
    """The greatest number of the window."""

    retractable = False


@dataclass(frozen=True, eq=False)
class First(FieldAggregation):
    """The number of the window's event with the least event time; of equal times, the least number."""

    retractable = False


@dataclass(frozen=True, eq=False)
class Last(FieldAggregation):
    """The number of the window's event with the greatest event time; of equal times, the greatest number."""

    retractable = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Share(Aggregation):
    """The part of the window's events for which `where` holds.

    Attributes:
        where: Which events are of the share.
        among: Which events it is a share of; every event when left out.
    """

    where: Expression
    among: Expression | None = None

    @property
    def value(self) -> Expression:
        """1 where the event is of the share, 0 where it is not."""
        return self.where

    @property
    def counted(self) -> Expression | None:
        """The condition on the events that the share is of."""
        return self.among

    def check(self, source: Source, definition: str) -> None:
        """Check what it reads against the source; see `Aggregation.check`."""
        super().check(source, definition)
        kind = type_over_events(self.where, source, definition, self.location)
        if kind is not FieldType.FLAG:
            raise self._error(
                f"where is a {kind}", "Write a condition, such as field(...) >= 15.", definition
            )
