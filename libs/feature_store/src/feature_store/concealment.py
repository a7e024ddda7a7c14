"""What requests carry, as it may be looked up and written: the same as was done to events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from feature_store.sensitivity import Handling, MissingKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from feature_store.project import Project
    from feature_store.scalars import Scalar
    from feature_store.sensitivity import Pseudonyms


@dataclass(frozen=True, slots=True)
class Concealment:
    """Hashes the keys, inputs and request keys that a project's sources keep hashed.

    Of a project with sensitive fields, what a request carries beyond what the project declares is left out:
    nobody can say what it holds.

    Attributes:
        known_entities: Those that a view or an example names.
        known_inputs: The request-time inputs of any model.
        hashed_inputs: Those of them whose field is hashed.
        hashed_request_keys: The labels whose request key is hashed.
    """

    pseudonyms: Pseudonyms
    known_entities: frozenset[str]
    hashed_entities: frozenset[str]
    known_inputs: frozenset[str]
    hashed_inputs: frozenset[str]
    hashed_request_keys: frozenset[str]

    @classmethod
    def of(cls, project: Project, pseudonyms: Pseudonyms | None) -> Self | None:
        """Return what a project needs; None where nothing is sensitive.

        Raises:
            MissingKey: something is, and there are no pseudonyms.
        """
        if not project.is_sensitive:
            return None
        if pseudonyms is None:
            raise MissingKey(f"project {project.module} has sensitive fields: no key is given to hash with")
        return cls(pseudonyms, **names_kept(project))

    def entities(self, entities: Mapping[str, str]) -> dict[str, str]:
        """Return the keys under which rows are found and that may be written."""
        return {
            name: self.pseudonyms.of(key) if key and name in self.hashed_entities else key
            for name, key in entities.items()
            if name in self.known_entities
        }

    def context(self, context: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return the inputs as models read them and as they may be written."""
        return {
            name: self.pseudonyms.of(value)
            if isinstance(value, str) and name in self.hashed_inputs
            else value
            for name, value in context.items()
            if name in self.known_inputs
        }

    def request_key(self, label: str, key: str) -> str:
        """Return the request key by which an outcome of a label will find its prediction."""
        return self.pseudonyms.of(key) if key and label in self.hashed_request_keys else key


def names_kept(project: Project) -> dict[str, frozenset[str]]:
    """Return what of a request may be looked up and written, and how, by `Concealment`'s attributes."""
    examples = [model.examples for model in project.models.values()]
    inputs = [(name, one.source.handling(field)) for one in examples for name, field in one.context.items()]
    return {
        "known_entities": frozenset(project.entities) | {name for one in examples for name in one.entities},
        "hashed_entities": project.hashed_entities,
        "known_inputs": frozenset(name for name, _ in inputs),
        "hashed_inputs": frozenset(name for name, handling in inputs if handling is Handling.HASH),
        "hashed_request_keys": frozenset(
            label.name
            for label in project.labels.values()
            if label.source.handling(label.request_key) is Handling.HASH
        ),
    }
