"""Which rows nobody reads or keeps any more. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_store.rows import VERSION_DIGITS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from feature_store.online.keepers import Keeper

Versions = Mapping[str, str]
"""Hex digests of views, by name."""
RowCounts = Mapping[tuple[str, str], int]
"""How many rows there are, by view and version; of the version "" are those from before rows had one."""


@dataclass(frozen=True, slots=True)
class Prunable:
    """What may be deleted.

    Attributes:
        groups: Groups that will not be needed again, and are to be forgotten.
        rows: Rows to delete.
    """

    groups: tuple[str, ...]
    rows: RowCounts


def prunable(
    mine: Keeper,
    keepers: Iterable[Keeper],
    *,
    running: Collection[str],
    read: Iterable[Versions],
    rows: RowCounts,
) -> Prunable:
    """Return what of a project may be deleted.

    Rows stay that the project as it is now keeps, that a group keeps which runs or belongs to another
    project, or that a model reads. A group goes that is another version of the project, does not run, and
    keeps nothing that only it keeps and a model reads.

    Args:
        mine: The project as it is now.
        keepers: All groups that are registered.
        running: Those of them that have members.
        read: What each model that is served reads.
        rows: The rows that there are.
    """
    read = list(read)
    stopped = [
        one
        for one in keepers
        if one.project == mine.project and one.group != mine.group and one.group not in running
    ]
    needed = {
        one.group for one in stopped if any(_only(one, mine).items() & wanted.items() for wanted in read)
    }
    gone = [one for one in stopped if one.group not in needed]
    kept = [mine, *(one for one in keepers if one not in gone)]
    named = {name for one in (mine, *gone) for name in one.views}
    live = {
        (name, digest[:VERSION_DIGITS])
        for versions in (*(one.views for one in kept), *read)
        for name, digest in versions.items()
    }
    return Prunable(
        tuple(one.group for one in gone),
        {key: count for key, count in rows.items() if key[0] in named and key not in live},
    )


def _only(keeper: Keeper, mine: Keeper) -> Versions:
    return {name: digest for name, digest in keeper.views.items() if mine.views.get(name) != digest}
