"""Saying which versions of views this service keeps, and knowing which ones are up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_store.online.keepers import Keeper, complete_versions, has_passed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from feature_store import View
    from feature_store.online.keepers import Keepers, Positions

    from feature.ports import SourceOffsets


class Keeping:
    """Registers a group among those that keep rows, and notes when it has caught up.

    Args:
        keepers: Who keeps what in the store.
        offsets: The sources' topics and the group's commits.
        group: The group.
        project: The module of its project.
        versions: Hex digest of each view that it keeps, by name.
        now_us: The wall clock.
    """

    def __init__(
        self,
        keepers: Keepers,
        offsets: SourceOffsets,
        *,
        group: str,
        project: str,
        versions: Mapping[str, str],
        now_us: Callable[[], int],
    ) -> None:
        self._keepers = keepers
        self._offsets = offsets
        self._group = group
        self._project = project
        self._versions = versions
        self._now_us = now_us
        self._complete: frozenset[tuple[str, str]] = frozenset()

    def is_complete(self, view: View) -> bool:
        """Return whether somebody keeps this project's version and had caught up at the last look."""
        return (view.name, self._versions.get(view.name)) in self._complete

    async def look(self) -> None:
        """Look who keeps what; once rows are whole.

        Raises:
            StoreUnavailable: The store is away.
            bus.errors.Unavailable: Kafka is away, and this group has not caught up.
        """
        kept = {one.group: one for one in await self._keepers.all()}
        mine = kept.get(self._group)
        if mine is None or not mine.complete:
            mine = await self._further(mine)
            await self._keepers.put(mine)
        self._complete = complete_versions([*kept.values(), mine])

    async def _further(self, mine: Keeper | None) -> Keeper:
        if mine is None:
            until = await self._offsets.ends()
            mine = Keeper(
                self._group,
                self._project,
                self._versions,
                since={},
                until=until,
                complete=False,
                began_us=self._now_us(),
            )
        reached: Positions = await self._offsets.commits(self._group)
        return mine.completed() if has_passed(reached, mine.until) else mine
