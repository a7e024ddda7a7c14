"""Who was erased, until when, and whether an event or a request is about one of them.

What was recorded of a subject up to its erasure's time counts for nothing and is written nowhere, however
often its topic is read again. What is recorded later begins a new history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from feature_store.rejects import Rejects
from feature_store.sensitivity import conceal
from feature_store.subjects import named_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from feature_store import EventBatch, Project, Pseudonyms, Source
    from numpy.typing import NDArray


class Moment(Protocol):
    """A time since the epoch, as protobuf has it."""

    seconds: int
    nanos: int


class NamesEntities(Protocol):
    """A message about a request: a prediction, however made or resolved."""

    @property
    def entities(self) -> Mapping[str, str]:
        """Entity name to key."""

    @property
    def request_time(self) -> Moment:
        """When the request was made; 0 where it does not say."""


class UnknownSecret(Exception):
    """Erased subjects cannot be recognised: their hashes are of a secret that is not given."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """A subject that was erased.

    Attributes:
        subject: `Pseudonyms.subject` of the entity and its key as rows have it.
        key_id: Which secret that is a hash with.
        until_us: What was recorded up to this time, this included, is erased.
    """

    erasure_id: str
    entity: str
    subject: str
    key_id: str
    until_us: int


class ErasedSubjects:
    """The list of the erased, grown as erasures become known.

    Args:
        naming: By entity, the fields that hold its key, by topic (`feature_store.subjects.named_in`).
        pseudonyms: Recognise subjects; None where there is no key, which does while nobody is erased.
    """

    def __init__(
        self, naming: Mapping[str, Mapping[str, frozenset[str]]], pseudonyms: Pseudonyms | None
    ) -> None:
        self._naming = naming
        self._pseudonyms = pseudonyms
        self._until_us: dict[str, dict[str, int]] = {}

    @classmethod
    def of(cls, project: Project, pseudonyms: Pseudonyms | None) -> Self:
        """Return the empty list for a project."""
        return cls(named_in(project.views.values(), project.models.values()), pseudonyms)

    def __len__(self) -> int:
        return sum(map(len, self._until_us.values()))

    def add(self, erasure: Erasure) -> None:
        """Take an erasure into account; of two of one subject the later time counts.

        Raises:
            UnknownSecret: its subject is hashed with another secret, or there is none here.
        """
        own = "none" if self._pseudonyms is None else self._pseudonyms.key_id
        if erasure.key_id != own:
            raise UnknownSecret(
                f"erasure {erasure.erasure_id} is hashed with the secret {erasure.key_id}, and "
                f"PRIVACY_KEY_FILE holds {own}: give every process the secret of the deployment"
            )
        of_entity = self._until_us.setdefault(erasure.entity, {})
        of_entity[erasure.subject] = max(erasure.until_us, of_entity.get(erasure.subject, erasure.until_us))

    def among(self, batch: EventBatch) -> NDArray[np.bool_]:
        """Tell which events of a source are of the erased, recorded up to their time: bool[n].

        An event that names several entities is erased with any of them.
        """
        erased = np.zeros(len(batch), np.bool_)
        for entity, until_us in self._until_us.items():
            for field in self._naming.get(entity, {}).get(batch.source.topic, ()):
                if field in batch.columns:
                    erased |= self._of_keys(entity, until_us, batch.columns[field], batch.recorded_time_us)
        return erased

    def in_payload(
        self, source: Source, payload: bytes, recorded_us: int, pseudonyms: Pseudonyms | None
    ) -> bool:
        """Tell whether a payload names somebody erased, though the event may not pass the source's checks."""
        columns = conceal(source, source.format.decode([payload], Rejects()), pseudonyms)
        for entity in self._until_us:
            for field in self._naming.get(entity, {}).get(source.topic, ()):
                [key] = columns[field].tolist()
                if key and self.concerns({entity: key}, recorded_us):
                    return True
        return False

    def without(self, batch: EventBatch) -> EventBatch:
        """Return the events that are of nobody erased."""
        if not self._until_us:
            return batch
        erased = self.among(batch)
        return batch.take(~erased) if erased.any() else batch

    def concerns(self, entities: Mapping[str, str], recorded_us: int) -> bool:
        """Tell whether a request for these entities, recorded then, is about somebody erased."""
        return recorded_us <= self._until_of(entities)

    def concerns_fact(self, fact: NamesEntities, recorded_us: int) -> bool:
        """Tell whether a message about a request is about somebody erased: by when the request was made.

        A prediction of before the erasure may be resolved after it, and is of before all the same.
        """
        made = fact.request_time
        made_us = made.seconds * 1_000_000 + made.nanos // 1_000
        return self.concerns(fact.entities, min(recorded_us, made_us) if made_us else recorded_us)

    def ever(self, entities: Mapping[str, str]) -> bool:
        """Tell whether a request is about somebody who was erased at any time: not to be recomputed."""
        return self._until_of(entities) >= 0

    def _until_of(self, entities: Mapping[str, str]) -> int:
        found = -1
        for entity, until_us in self._until_us.items():
            key = entities.get(entity)
            if key and self._pseudonyms is not None:
                found = max(found, until_us.get(self._pseudonyms.subject(entity, key), -1))
        return found

    def _of_keys(
        self, entity: str, until_us: Mapping[str, int], keys: NDArray[Any], recorded_us: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        erased = np.zeros(len(keys), np.bool_)
        # A stream that has passed the newest erasure pays one comparison.
        old = np.flatnonzero(recorded_us <= max(until_us.values()))
        if len(old) and self._pseudonyms is not None:
            pseudonyms = self._pseudonyms
            last_us = {
                key: until_us.get(pseudonyms.subject(entity, key), -1) if key else -1
                for key in set(keys[old].tolist())
            }
            until = np.array([last_us[key] for key in keys[old].tolist()], np.int64)
            erased[old] = recorded_us[old] <= until
        return erased
