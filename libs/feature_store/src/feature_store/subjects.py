"""Where a project names an entity: what erasing one, or hashing its keys, has to reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_store.errors import DefinitionError
from feature_store.expressions import EntityKey, Field
from feature_store.sensitivity import Handling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from feature_store.definitions import ModelSpec, Source, View


def named_in(
    views: Iterable[View], models: Iterable[ModelSpec]
) -> Mapping[str, Mapping[str, frozenset[str]]]:
    """Return, by entity, the fields that hold its key, by topic: as views and training examples say."""
    found: dict[str, dict[str, frozenset[str]]] = {}
    for entity, source, field in _namings(views, models):
        of_entity = found.setdefault(entity, {})
        of_entity[source.topic] = of_entity.get(source.topic, frozenset()) | {field}
    return found


def hashed_entities(views: Iterable[View], models: Iterable[ModelSpec]) -> frozenset[str]:
    """Return the entities whose keys are hashed.

    Raises:
        DefinitionError: one source hashes an entity's key and another keeps it: they would never meet.
    """
    hashed: dict[str, tuple[bool, Source, str]] = {}
    for entity, source, field in _namings(views, models):
        is_hashed = source.handling(field) is Handling.HASH
        before, other, name = hashed.setdefault(entity, (is_hashed, source, field))
        if before is not is_hashed:
            raise DefinitionError(
                f"Source({source.topic!r})",
                f"field {field!r} holds keys of {entity!r} and is {'hashed' if is_hashed else 'kept'}, and "
                f"field {name!r} of {other.topic} is {'hashed' if before else 'kept'}",
                instead="Write the same in the sensitive=... of both.",
                at=source.location,
            )
    return frozenset(entity for entity, (is_hashed, _, _) in hashed.items() if is_hashed)


def rows_of(views: Iterable[View], entity: str) -> tuple[list[View], list[View]]:
    """Return the views with one row for each key of an entity, and those with rows it shares with others.

    A row is shared where the entity is one of several parts of its key, or where its key is computed from
    events in a way of its own. Rows of what is computed from the entity's key, such as an aircraft's model,
    are neither: they are of no one subject.
    """
    own: list[View] = []
    shared: list[View] = []
    for view in views:
        if entity in (part.part for part in view.entity.key if isinstance(part, EntityKey)):
            (own if len(view.key) == 1 and isinstance(view.key[0], Field) else shared).append(view)
    return own, shared


def _namings(views: Iterable[View], models: Iterable[ModelSpec]) -> Iterator[tuple[str, Source, str]]:
    for view in views:
        for asked, field in zip(view.entity.key, view.key, strict=True):
            if isinstance(asked, EntityKey) and isinstance(field, Field):
                yield asked.part, view.source, field.name
    for model in models:
        for entity, name in model.examples.entities.items():
            yield entity, model.examples.source, name
