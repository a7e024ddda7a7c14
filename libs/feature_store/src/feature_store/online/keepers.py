"""Who keeps which versions of which views: what lets two projects keep rows side by side in one store.

A view's version is its digest. The processes of one project are one consumer group, named after the versions
that they keep: a changed project is another group, begins anew, and leaves the old one's offsets alone. Both
may keep a version that did not change: rows know what they have applied, so who comes second adds nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from feature_store.rows import VERSION_DIGITS

if TYPE_CHECKING:
    from feature_store.definitions import View
    from feature_store.project import Project

Offsets = Mapping[int, int]
"""The next offset, by partition."""
Positions = Mapping[str, Offsets]
"""The next offset, by topic and partition."""


def versions_of(views: Iterable[View]) -> dict[str, str]:
    """Return each view's digest in hex, by name."""
    return {view.name: view.digest.hex() for view in views}


def group_of(project: str, views: Iterable[View]) -> str:
    """Return the consumer group of the processes that keep a project's views.

    `feature-`, then the first 8 hex digits of the SHA-256 over the project's module and, sorted, each view's
    name, a space and its digest in hex, joined by `|`, in UTF-8.
    """
    lines = sorted(f"{name} {digest}" for name, digest in versions_of(views).items())
    named = "|".join([project, *lines])
    return f"feature-{hashlib.sha256(named.encode()).hexdigest()[:VERSION_DIGITS]}"


def feature_group(project: Project) -> str:
    """Return the consumer group of the `feature` processes of a project."""
    return group_of(project.module, project.views.values())


@dataclass(frozen=True, slots=True)
class Keeper:
    """A group that keeps versions of views up to date.

    Attributes:
        group: Its name.
        project: The module of its project.
        views: Hex digest of each view that it keeps, by name.
        since: The first offset whose events rows hold, where it is not 0.
        until: What it has to pass before its rows hold what was known when it began.
        complete: Whether it has passed that.
        began_us: When it began, by the wall clock of who began it.
    """

    group: str
    project: str
    views: Mapping[str, str]
    since: Positions
    until: Positions
    complete: bool
    began_us: int

    def shares(self, views: Mapping[str, str]) -> dict[str, str]:
        """Return those of these versions that it keeps too."""
        return {name: digest for name, digest in views.items() if self.views.get(name) == digest}

    def completed(self) -> Keeper:
        """Return it as one that has caught up."""
        return replace(self, complete=True)


class Keepers(Protocol):
    """The groups that keep rows in one store."""

    async def all(self) -> Sequence[Keeper]:
        """Return them, by name.

        Raises:
            StoreUnavailable: the store is away.
        """
        ...

    async def put(self, keeper: Keeper) -> None:
        """Add one, or replace what is known of it.

        Raises:
            StoreUnavailable: the store is away.
        """
        ...

    async def remove(self, group: str) -> None:
        """Remove one, if it is there.

        Raises:
            StoreUnavailable: the store is away.
        """
        ...


def complete_versions(keepers: Iterable[Keeper]) -> frozenset[tuple[str, str]]:
    """Return the versions, as name and hex digest, that somebody has brought up to date."""
    return frozenset(
        (name, digest) for keeper in keepers if keeper.complete for name, digest in keeper.views.items()
    )


def has_passed(reached: Positions, wanted: Positions) -> bool:
    """Return whether all these positions are reached."""
    return all(
        reached.get(topic, {}).get(partition, 0) >= end
        for topic, ends in wanted.items()
        for partition, end in ends.items()
    )


def positions_of(read: Mapping[str, Mapping[str, int]]) -> Positions:
    """Return positions as JSON has them, whose keys are all texts."""
    return {topic: {int(partition): end for partition, end in ends.items()} for topic, ends in read.items()}


class MemoryKeepers:
    """`Keepers` in this process."""

    def __init__(self) -> None:
        self._kept: dict[str, Keeper] = {}

    async def all(self) -> Sequence[Keeper]:
        """See `Keepers.all`."""
        return [self._kept[group] for group in sorted(self._kept)]

    async def put(self, keeper: Keeper) -> None:
        """See `Keepers.put`."""
        self._kept[keeper.group] = keeper

    async def remove(self, group: str) -> None:
        """See `Keepers.remove`."""
        self._kept.pop(group, None)
