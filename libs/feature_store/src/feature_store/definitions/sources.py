"""Where events come from, and what they are about."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from feature_store.definitions.durations import microseconds
from feature_store.definitions.sensitive import check_sensitive
from feature_store.definitions.typing import type_over_entity_keys, type_over_events
from feature_store.errors import DefinitionError, Location, UnsoundExpressionError, caller, did_you_mean
from feature_store.expressions import Expression, FieldType, entity_key
from feature_store.sensitivity import Handling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from feature_store.checks import SourceCheck
    from feature_store.expectations import Expectation
    from feature_store.formats import Format

_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_DEFAULT_MAX_BYTES: Final = 262_144


@dataclass(frozen=True, eq=False)
class Entity:
    """What features describe: an airport, a card, a user.

    Attributes:
        name: The one used in scoring requests.
        description: For the catalogue, as are the others; none of them changes a hash.
        owner: Whom to ask.
        sensitivity: What its keys are, such as "personal".
        keys: The parts of its key where they are several, or not called like the entity: each the name under
            which a request gives it, or an expression over such names, such as an attribute of a dimension.
            Entities that share a name share what a request gives under it.
    """

    name: str
    description: str = ""
    owner: str = ""
    sensitivity: str = ""
    keys: Sequence[str | Expression] = ()
    location: Location | None = attribute(default_factory=caller, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.keys, str):
            self._refuse(f"keys is the text {self.keys!r}", f"Write keys=({self.keys!r},).")
        for part in self.keys:
            if isinstance(part, Expression):
                kind = type_over_entity_keys(part, f"Entity({self.name!r}): keys", self.location)
                if kind is not FieldType.TEXT:
                    self._refuse(f"keys: {part} is a {kind}", "Entities are known by texts.")
            elif not isinstance(part, str) or not part:
                self._refuse(f"keys: {part!r} is no name", 'Write keys=("origin", "destination").')
        if len({str(part) for part in self.key}) < len(self.key):
            self._refuse("keys: a part is listed twice", "List each part of the key once.")

    @cached_property
    def key(self) -> tuple[Expression, ...]:
        """The parts of its key, over what requests carry."""
        parts = self.keys or (self.name,)
        return tuple(entity_key(part) if isinstance(part, str) else part for part in parts)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The names under which a request gives what its key is made of."""
        return tuple(dict.fromkeys(name for part in self.key for name in part.entity_keys()))

    def canonical(self) -> Any:
        """Return which key of a request is its, as JSON has it."""
        if not self.keys:
            return self.name
        return {"name": self.name, "keys": [json.loads(part.canonical()) for part in self.key]}

    def _refuse(self, problem: str, instead: str) -> NoReturn:
        raise DefinitionError(f"Entity({self.name!r})", problem, instead=instead, at=self.location)


@dataclass(frozen=True, eq=False)
class Source:
    """A topic of upstream events.

    Attributes:
        topic: The upstream's topic; nothing about it needs to change to be read.
        format: How a payload becomes fields.
        event_time: The field that says when it happened. It rules, whatever the envelope says; where it is
            None the envelope's `ce_time` is the event time.
        partitions: How many the topic is given where the platform creates it.
        checks: What is demanded of every event; one that fails goes to the dead-letter topic.
        max_lateness: How much later than its event time an event may be recorded.
        max_clock_skew: How much earlier than its event time an event may be recorded.
        max_bytes: The largest payload that is read.
        retracts: Which events take back an earlier one, whose contents and event time they have. A correction
            is two events: a retraction, and what is true instead.
        owner: Whom to ask about its events; for the catalogue, and part of no hash.
        sensitivity: What its payloads hold, such as "personal"; likewise.
        sensitive: Field to what is done with it before it is written anywhere: "keep", "hash" or "drop"
            (docs/privacy.md). A field that is not named is kept.
    """

    topic: str
    format: Format
    event_time: str | None
    partitions: int = 4
    checks: Sequence[SourceCheck] = ()
    max_lateness: timedelta = timedelta(days=7)
    max_clock_skew: timedelta = timedelta(minutes=5)
    max_bytes: int = _DEFAULT_MAX_BYTES
    retracts: Expression | None = None
    expectations: Sequence[Expectation] = ()
    owner: str = ""
    sensitivity: str = ""
    sensitive: Mapping[str, str] = attribute(default_factory=dict)
    location: Location | None = attribute(default_factory=caller, repr=False)

    def __post_init__(self) -> None:
        if not _TOPIC.fullmatch(self.topic):
            self._refuse(
                "its topic is no Kafka topic name", "Write letters, digits, dots, dashes, underscores."
            )
        if self.partitions < 1:
            self._refuse(f"it has {self.partitions} partitions", "Write at least 1.")
        if min(self.max_lateness, self.max_clock_skew) < timedelta(0):
            self._refuse("max_lateness or max_clock_skew is negative", "Write a timedelta of zero or more.")
        check_sensitive(self)
        for name in self.format.fields:
            if name.startswith("_"):
                self._refuse(
                    f"field {name!r} begins with an underscore", "Those names are the lake's own; rename it."
                )
        self._check_event_time()
        self._check_retracts()
        for check in self.checks:
            try:
                check.fit(self.format.fields)
            except UnsoundExpressionError as error:
                self._refuse(f"check {type(check).__name__}: {error.problem}", error.remedy)
        self._check_expectations()

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """The payload's fields that can be written and read, in order, with their types."""
        if not self.sensitive:
            return self.format.fields
        kept = self.format.fields.items()
        return {name: kind for name, kind in kept if self.handling(name) is not Handling.DROP}

    def handling(self, name: str) -> Handling:
        """Return what is done with a field."""
        return Handling(self.sensitive.get(name, Handling.KEEP))

    @property
    def hashed(self) -> Sequence[str]:
        """The names of the fields for which keyed hashes stand."""
        return [name for name in self.fields if self.handling(name) is Handling.HASH]

    @property
    def is_sensitive(self) -> bool:
        """Whether a field is dropped or hashed."""
        return any(self.handling(name) is not Handling.KEEP for name in self.sensitive)

    @property
    def texts(self) -> Sequence[str]:
        """The names of the fields that are texts: those that can be keys."""
        return [name for name, kind in self.fields.items() if kind is FieldType.TEXT]

    @property
    def max_lateness_us(self) -> int:
        """`max_lateness` in microseconds."""
        return microseconds(self.max_lateness)

    @property
    def max_clock_skew_us(self) -> int:
        """`max_clock_skew` in microseconds."""
        return microseconds(self.max_clock_skew)

    def _check_event_time(self) -> None:
        if self.event_time is None:
            return
        kind = self.fields.get(self.event_time)
        if kind is None:
            problem = f"event_time: its payload has no field {self.event_time!r}"
            self._refuse(problem, did_you_mean(self.event_time, self.fields))
        if kind is not FieldType.TIME:
            self._refuse(f"event_time: field {self.event_time!r} is a {kind}", "Name a field that is a time.")

    def _check_retracts(self) -> None:
        if self.retracts is None:
            return
        definition = f"Source({self.topic!r})"
        kind = type_over_events(self.retracts, self, f"{definition}: retracts", self.location)
        if kind is not FieldType.FLAG:
            self._refuse(f"retracts is a {kind}", 'Write a condition, such as field("kind") == "cancelled".')

    def _check_expectations(self) -> None:
        seen: set[tuple[str, str]] = set()
        for one in self.expectations:
            name = f"expectation {type(one).__name__}"
            try:
                one.fit(self.fields)
            except UnsoundExpressionError as error:
                self._refuse(f"{name}: {error.problem}", error.remedy)
            known_by = (one.statistic, one.subject)
            if known_by in seen:
                self._refuse(
                    f"{name}({one.subject}) is declared twice", "Keep one: alerts tell them by name."
                )
            seen.add(known_by)

    def _refuse(self, problem: str, instead: str) -> None:
        raise DefinitionError(f"Source({self.topic!r})", problem, instead=instead, at=self.location)
