"""Views: what is kept of a source's events for each key of an entity, one packed row a key."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from feature_store.definitions.aggregations import Aggregation
from feature_store.definitions.durations import microseconds
from feature_store.definitions.sensitive import refuse_dropped
from feature_store.definitions.sources import Entity, Source
from feature_store.definitions.typing import type_over_events
from feature_store.errors import DefinitionError, Location, caller, did_you_mean
from feature_store.expressions import Expression, Field, FieldType, field
from feature_store.expressions.openness import open_types
from feature_store.keys import joined

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import NoReturn

    from numpy.typing import NDArray

    from feature_store.events import EventBatch

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class View:
    """What a `FeatureView` class declares, checked.

    Attributes:
        name: The class's name in snake case.
        source: The events it keeps.
        entity: What its rows are about.
        key: The parts of the entity's key, texts over the source's fields. An event of which one is null or
            empty belongs to no row.
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
    key: tuple[Expression, ...]
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
        parts = [_canonical(part) for part in self.key]
        read = [(part, (FieldType.TEXT,)) for part in self.key]
        read += [] if retracts is None else [(retracts, (FieldType.FLAG,))]
        hashed = {"hashed": list(self.source.hashed)} if self.source.hashed else {}
        return {
            "view": self.name,
            "topic": self.source.topic,
            "format": self.source.format.name.split(maxsplit=1)[0],
            "event_time": self.source.event_time,
            "entity": self.entity.canonical(),
            "key": parts[0] if len(parts) == 1 else parts,
            "ttl_us": self.ttl_us,
            **taken_back,
            **hashed,
            **self._types(read),
        }

    def canonical_of(self, aggregation: Aggregation) -> dict[str, Any]:
        """Return everything that one of its features depends on beside the view, as JSON has it."""
        read = [(aggregation.value, aggregation.aggregates), (aggregation.counted, (FieldType.FLAG,))]
        types = self._types([(one, wanted) for one, wanted in read if one is not None])
        return {**aggregation.canonical(), **types}

    def _types(self, read: Iterable[tuple[Expression, Collection[FieldType]]]) -> dict[str, Any]:
        """Return the types of fields that the expressions do not tell; nothing where they tell all."""
        found = [open_types(one, wanted, self.source.fields) for one, wanted in read]
        types = {name: kind for one in found for name, kind in one.items()}
        return {"types": types} if types else {}

    def keys_of(self, batch: EventBatch) -> NDArray[Any]:
        """Return the entity's key of each event, object[n]; None or empty where it belongs to no row."""
        return joined([part.evaluate(batch.named, len(batch)) for part in self.key])

    @property
    def digest(self) -> bytes:
        """SHA-256 over everything that shapes a row: it changes when kept rows no longer fit."""
        kept = {name: self.canonical_of(kind) for name, kind in self.aggregations.items()}
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
    entity: a field or an expression, or as many of them as its key has parts; `ttl` where it is not the
    longest window; `owner` and `sensitivity`, for the catalogue, where they are not the source's;
    `freshness`, the time within which a recorded event is to be readable; and one
    aggregation a feature. A subclass declared `abstract=True` is no view itself: others inherit what it
    declares.
    """

    source: ClassVar[Source]
    entity: ClassVar[Entity]
    key: ClassVar[str | Expression | tuple[str | Expression, ...]]
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
    aggregations = {name: value for name, value in declared.items() if isinstance(value, Aggregation)}
    key = _key(cls, source, entity, declared.get("key"), at)
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


def _key(
    cls: type[FeatureView], source: Source, entity: Entity, declared: object, at: Location | None
) -> tuple[Expression, ...]:
    """Return the parts of a view's key; where none is declared they are fields called like the entity's."""
    if declared is None:
        if any(isinstance(part, Expression) for part in entity.keys):
            problem = f"it has no key, and that of entity {entity.name!r} is computed from requests"
            _refuse(cls, problem, "Write key = what it is in the source's events.", at)
        declared = tuple(entity.keys) or entity.name
    parts = declared if isinstance(declared, (tuple, list)) else (declared,)
    if len(parts) != len(entity.key):
        problem = f"key has {len(parts)} parts, and the key of entity {entity.name!r} has {len(entity.key)}"
        _refuse(cls, problem, "Write a field of the source for each part.", at)
    key = tuple(_key_part(cls, source, part, at) for part in parts)
    if len({str(part) for part in key}) < len(key):
        _refuse(cls, "key: a part is listed twice", "Write another field of the source for each part.", at)
    return key


def _key_part(cls: type[FeatureView], source: Source, part: object, at: Location | None) -> Expression:
    if not isinstance(part, Expression):
        refuse_dropped(source, str(part), f"{cls.__name__}: key", at)
        if part not in source.fields:
            problem = f"key: source {source.topic} has no field {part!r}"
            _refuse(cls, problem, did_you_mean(str(part), source.fields), at)
        part = field(str(part))
    kind = type_over_events(part, source, f"{cls.__name__}: key", at)
    if kind is not FieldType.TEXT:
        name = f"field {part.name!r}" if isinstance(part, Field) else str(part)
        _refuse(cls, f"key: {name} is a {kind}", "Entities are known by texts; name a text.", at)
    return part


def _canonical(part: Expression) -> Any:
    """Return a part of a key: a field by its name."""
    return part.name if isinstance(part, Field) else {"expression": json.loads(part.canonical())}


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
