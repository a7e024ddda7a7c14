"""Views: what is kept of a source's events for each key of an entity, one packed row a key."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from feature_store.definitions.aggregations import Aggregation
from feature_store.definitions.durations import microseconds
from feature_store.definitions.sources import Entity, Source
from feature_store.errors import DefinitionError, Location, caller, did_you_mean
from feature_store.expressions import FieldType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class View:
    """What a `FeatureView` class declares, checked.

    Attributes:
        name: The class's name in snake case.
        source: The events it keeps.
        entity: What its rows are about.
        key: The source's field with the entity's key. An event whose key is null or empty belongs to no row.
        ttl_us: How much older than a request the newest event of a row may be, in event time.
        aggregations: Name to aggregation, in the order of declaration.
        description: What the class's docstring says; for the catalogue, as are the next two. Part of no hash.
        owner: Whom to ask; its source's where it names none.
        sensitivity: What its values are; its entity's or its source's where it names none.
        freshness_us: How soon after it was recorded an event is to be readable; None where nothing is
            promised. Part of no hash.
    """

    name: str
    source: Source
    entity: Entity
    key: str
    ttl_us: int
    aggregations: Mapping[str, Aggregation]
    description: str = attribute(default="", repr=False)
    owner: str = attribute(default="", repr=False)
    sensitivity: str = attribute(default="", repr=False)
    freshness_us: int | None = attribute(default=None, repr=False)
    location: Location | None = attribute(default=None, repr=False)

    def canonical(self) -> dict[str, Any]:
        """Return which events reach which row, as JSON has it."""
        retracts = self.source.retracts
        # Left out where there is none, so that views without retractions keep their hashes.
        taken_back = {} if retracts is None else {"retracts": json.loads(retracts.canonical())}
        return {
            "view": self.name,
            "topic": self.source.topic,
            "format": self.source.format.name.split(maxsplit=1)[0],
            "event_time": self.source.event_time,
            "entity": self.entity.name,
            "key": self.key,
            "ttl_us": self.ttl_us,
            **taken_back,
        }

    @property
    def digest(self) -> bytes:
        """SHA-256 over everything that shapes a row: it changes when kept rows no longer fit."""
        kept = {name: kind.canonical() for name, kind in self.aggregations.items()}
        text = json.dumps([self.canonical(), list(kept.items())], separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True, slots=True, eq=False)
class Feature:
    """One aggregation of a view, as a model refers to it."""

    view: View
    name: str
    aggregation: Aggregation

    @property
    def full_name(self) -> str:
        """The name that contracts, vectors and logs know it by: `origin_departures.mean_delay_1h`."""
        return f"{self.view.name}.{self.name}"

    @property
    def default(self) -> float:
        """What a model sees when there is no value."""
        return self.aggregation.default


class FeatureView:
    """Base of the classes that declare views.

    A subclass sets `source` and `entity`; `key` where the field with the entity's key is not called like the
    entity; `ttl` where it is not the longest window; `owner` and `sensitivity`, for the catalogue, where they
    are not the source's; `freshness`, the time within which a recorded event is to be readable; and one
    aggregation a feature. A subclass declared `abstract=True` is no view itself: others inherit what it
    declares.
    """

    source: ClassVar[Source]
    entity: ClassVar[Entity]
    key: ClassVar[str]
    ttl: ClassVar[timedelta]
    owner: ClassVar[str]
    sensitivity: ClassVar[str]
    freshness: ClassVar[timedelta]
    view: ClassVar[View]

    def __init_subclass__(cls, *, abstract: bool = False) -> None:
        super().__init_subclass__()
        if not abstract:
            cls.view = _build(cls, caller())

    @classmethod
    def feature_of(cls, aggregation: Aggregation) -> Feature:
        """Return the feature that an aggregation, declared here or inherited, is in this view."""
        view = vars(cls).get("view")
        if view is None:
            raise DefinitionError(
                cls.__name__,
                "it is abstract, so it has no features",
                instead="Name the feature of a view that inherits from it.",
                at=caller(),
            )
        name = next(name for name, kept in view.aggregations.items() if kept is aggregation)
        return Feature(view, name, aggregation)


def snake_case(name: str) -> str:
    """Return a class's name as a view's: `OriginDepartures` becomes `origin_departures`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _build(cls: type[FeatureView], at: Location | None) -> View:
    declared = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
    source = _part(cls, declared, "source", Source, at)
    entity = _part(cls, declared, "entity", Entity, at)
    key = cast("str", declared.get("key", entity.name))
    aggregations = {name: value for name, value in declared.items() if isinstance(value, Aggregation)}
    _check_key(cls, source, key, at)
    if not aggregations:
        _refuse(
            cls,
            "it declares no feature",
            'Write at least one, such as events_24h = Count(window="24h").',
            at,
        )
    for name, aggregation in aggregations.items():
        aggregation.check(source, f"{cls.__name__}.{name}")
    ttl_us = _ttl_us(cls, declared, aggregations, at)
    return View(
        snake_case(cls.__name__),
        source,
        entity,
        key,
        ttl_us,
        MappingProxyType(aggregations),
        description=(cls.__doc__ or "").strip(),
        owner=str(declared.get("owner", source.owner)),
        sensitivity=str(declared.get("sensitivity", entity.sensitivity or source.sensitivity)),
        freshness_us=_freshness_us(cls, declared, at),
        location=at,
    )


def _part(
    cls: type[FeatureView], declared: Mapping[str, object], name: str, kind: type[T], at: Location | None
) -> T:
    value = declared.get(name)
    if not isinstance(value, kind):
        _refuse(
            cls,
            f"it has no {name}",
            f"Write {name} = a {kind.__name__}, or declare the class abstract=True.",
            at,
        )
    return value


def _check_key(cls: type[FeatureView], source: Source, key: str, at: Location | None) -> None:
    kind = source.fields.get(key)
    if kind is None:
        _refuse(cls, f"key: source {source.topic} has no field {key!r}", did_you_mean(key, source.fields), at)
    if kind is not FieldType.TEXT:
        _refuse(cls, f"key: field {key!r} is a {kind}", "Entities are known by texts; name a text.", at)


def _ttl_us(
    cls: type[FeatureView],
    declared: Mapping[str, object],
    kept: Mapping[str, Aggregation],
    at: Location | None,
) -> int:
    ttl = declared.get("ttl")
    if ttl is None:
        return max(aggregation.window_us for aggregation in kept.values())
    if not isinstance(ttl, timedelta) or ttl <= timedelta(0):
        _refuse(cls, f"ttl is {ttl!r}", "Write a positive timedelta, such as timedelta(days=2).", at)
    return microseconds(ttl)


def _freshness_us(cls: type[FeatureView], declared: Mapping[str, object], at: Location | None) -> int | None:
    freshness = declared.get("freshness")
    if freshness is None:
        return None
    if not isinstance(freshness, timedelta) or freshness <= timedelta(0):
        _refuse(
            cls,
            f"freshness is {freshness!r}",
            "Write a positive timedelta, such as timedelta(seconds=5).",
            at,
        )
    return microseconds(freshness)


def _refuse(cls: type[FeatureView], problem: str, instead: str, at: Location | None) -> NoReturn:
    raise DefinitionError(cls.__name__, problem, instead=instead, at=at)
