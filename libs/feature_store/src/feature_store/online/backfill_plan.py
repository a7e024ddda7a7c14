"""What a backfill has to do, given who keeps which versions already. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_store.online.keepers import has_passed, versions_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from feature_store.definitions import View
    from feature_store.online.keepers import Keeper, Offsets, Positions


class BackfillRefused(Exception):
    """It was asked for what would leave rows incomplete."""


@dataclass(frozen=True, slots=True)
class Other:
    """Another group that keeps rows in the store.

    Attributes:
        keeper: What it keeps.
        is_whole: Whether its rows are.
        commits: How far it has come.
    """

    keeper: Keeper
    is_whole: bool
    commits: Positions


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        views: Hex digest of each view whose rows are made, by name.
        again: Whether somebody may have written these rows before: then their writers wait, and the lake is
            read to where the topics end. Otherwise nobody waits, and the stream goes on where the lake ended.
        holds: The other groups that wait.
        limits: How far other groups have come in the topics of versions that are theirs too: the stream goes
            on from there at the latest, since they are sure to hold no more.
        begins: Whether the group has never begun: the stream is set to where the lake ended.
    """

    views: Mapping[str, str]
    again: bool
    holds: Sequence[str]
    limits: Positions
    begins: bool


def plan_backfill(
    views: Sequence[View],
    chosen: Collection[str],
    *,
    has_begun: bool,
    others: Sequence[Other],
    begins: Positions,
) -> Plan:
    """Decide which rows are made, and who has to wait.

    Args:
        views: All that the group keeps.
        chosen: Names of those to be made again; all when empty.
        has_begun: Whether the group has ever begun to keep them.
        others: The other groups.
        begins: The first offset that each topic still holds.

    Raises:
        BackfillRefused: only some views were chosen, and the group has not begun.
    """
    versions = versions_of(views)
    if has_begun:
        return _again({name: versions[name] for name in chosen or versions}, others, begins=False)
    topics = {view.name: view.source.topic for view in views}
    fit = [one for one in others if _is_fit(one, topics, versions, begins)]
    shared = {name for one in fit for name in one.keeper.shares(versions)}
    missing = {name: digest for name, digest in versions.items() if name not in shared}
    if chosen and set(chosen) != set(missing):
        raise BackfillRefused(
            f"this project has not begun to keep rows, and begins with all of them: {', '.join(missing)}. "
            "Name no view"
        )
    if any(one.keeper.shares(missing) for one in others):
        return _again(versions, others, begins=True)
    limits = {topics[name]: _furthest(fit, name, versions[name], topics[name], begins) for name in shared}
    return Plan(missing, again=False, holds=(), limits=limits, begins=True)


def _again(versions: Mapping[str, str], others: Sequence[Other], *, begins: bool) -> Plan:
    holds = [one.keeper.group for one in others if one.is_whole and one.keeper.shares(versions)]
    return Plan(versions, again=True, holds=holds, limits={}, begins=begins)


def _is_fit(other: Other, topics: Mapping[str, str], versions: Mapping[str, str], begins: Positions) -> bool:
    """Return whether what it keeps is all there, and what it lacks is still in the topics."""
    read = {topics[name] for name in other.keeper.shares(versions)}
    held = {topic: begins.get(topic, {}) for topic in read}
    return other.is_whole and not other.keeper.since and has_passed(other.commits, held)


def _furthest(fit: Sequence[Other], name: str, digest: str, topic: str, begins: Positions) -> Offsets:
    """Return how far somebody who keeps a version has come, by partition of its topic."""
    of_it = [one.commits.get(topic, {}) for one in fit if one.keeper.views.get(name) == digest]
    return {partition: max(one.get(partition, 0) for one in of_it) for partition in begins.get(topic, {})}
