"""Where a project names an entity: what erasing one, or hashing its keys, has to reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_store.errors import DefinitionError
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


def _namings(views: Iterable[View], models: Iterable[ModelSpec]) -> Iterator[tuple[str, Source, str]]:
    for view in views:
        yield view.entity.name, view.source, view.key
    for model in models:
        for entity, field in model.examples.entities.items():
            yield entity, model.examples.source, field
