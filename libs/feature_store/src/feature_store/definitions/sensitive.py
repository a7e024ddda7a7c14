"""Checks what a source declares of its sensitive fields, and of what is made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_store.errors import DefinitionError, did_you_mean
from feature_store.expressions import Field, FieldType
from feature_store.sensitivity import Handling

if TYPE_CHECKING:
    from feature_store.definitions.sources import Source
    from feature_store.errors import Location
    from feature_store.expressions import Expression


def check_sensitive(source: Source) -> None:
    """Refuse a declaration that cannot be kept.

    Raises:
        DefinitionError: it names no field or no handling, hashes what is no text, or drops the event time.
    """
    fields, known = source.format.fields, [str(one) for one in Handling]
    for name, handling in source.sensitive.items():
        if name not in fields:
            raise _error(source, f"sensitive: it has no field {name!r}", did_you_mean(name, fields))
        if handling not in known:
            problem = f"sensitive[{name!r}] is {handling!r}"
            raise _error(source, problem, f"Write one of {', '.join(known)}.")
        if handling == Handling.HASH and fields[name] is not FieldType.TEXT:
            problem = f"sensitive[{name!r}]: a {fields[name]} cannot be hashed"
            raise _error(source, problem, "Only texts can; drop it, or send it as a text.")
        if handling == Handling.DROP and name == source.event_time:
            raise _error(
                source, f"sensitive[{name!r}]: the event time cannot be dropped", "Keep it, or name another."
            )


def refuse_dropped(source: Source, name: str, definition: str, at: Location | None) -> None:
    """Refuse to read a field that is dropped.

    Raises:
        DefinitionError: it is dropped.
    """
    if source.handling(name) is Handling.DROP:
        problem = f"field {name!r} of {source.topic} is sensitive and dropped: nothing can be made of it"
        raise DefinitionError(definition, problem, instead="Hash it, or do without it.", at=at)


def refuse_concealed(expression: Expression, source: Source, definition: str, at: Location | None) -> None:
    """Refuse an expression that reads a dropped field, or computes with a hashed one.

    Raises:
        DefinitionError: it does.
    """
    for name in sorted(expression.fields()):
        refuse_dropped(source, name, definition, at)
        if source.handling(name) is Handling.HASH and not isinstance(expression, Field):
            problem = f"field {name!r} of {source.topic} is hashed, and {expression} computes with its value"
            instead = "A hash can be a key or be counted as it is; keep the field to compute with it."
            raise DefinitionError(definition, problem, instead=instead, at=at)


def _error(source: Source, problem: str, instead: str) -> DefinitionError:
    return DefinitionError(f"Source({source.topic!r})", problem, instead=instead, at=source.location)
