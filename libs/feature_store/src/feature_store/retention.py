"""How long what was recorded is kept: declared by a project, a topic at a time.

`tidemark retention` compares what is declared with what is so, and `tidemark retention --apply` makes it so.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from feature_store.definitions.durations import microseconds
from feature_store.errors import DefinitionError, Location, caller

if TYPE_CHECKING:
    from collections.abc import Iterable

    from feature_store.project import Project

PART: Final = "retention"
"""The module of a project that declares it."""
_SHORTEST: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the records of a topic are kept; what is left out stays as it is.

    Attributes:
        topic: One of the project's sources, or of the platform's own.
        in_topic: In Kafka.
        dead_letters: In its dead-letter twin.
        in_lake: In the lake's table, by event time; whole days are deleted once all of them is older.
    """

    topic: str
    in_topic: timedelta | None = None
    dead_letters: timedelta | None = None
    in_lake: timedelta | None = None
    location: Location | None = attribute(default_factory=caller, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("in_topic", "dead_letters", "in_lake"):
            told = getattr(self, name)
            if told is not None and (not isinstance(told, timedelta) or told < _SHORTEST):
                self.refuse(f"{name} is {told!r}", "Write a timedelta of an hour or more.")

    def refuse(self, problem: str, instead: str) -> None:
        """Refuse this declaration.

        Raises:
            DefinitionError: always.
        """
        raise DefinitionError(f"Retention({self.topic!r})", problem, instead=instead, at=self.location)


def check_retention(
    declared: Iterable[Retention], project: Project, known: Iterable[str], kept_for_ever: Iterable[str]
) -> None:
    """Refuse what cannot be kept to.

    Args:
        declared: What the project declares.
        project: Whose windows must be in the lake, for rows are made again of it.
        known: The platform's own topics.
        kept_for_ever: Those of them that must be.

    Raises:
        DefinitionError: a topic is unknown, named twice or must be kept, or a window is longer than the lake.
    """
    seen: set[str] = set()
    topics, for_ever = {*known, *project.sources}, set(kept_for_ever)
    for one in declared:
        if one.topic not in topics:
            one.refuse("there is no such topic", f"Known: {', '.join(sorted(topics))}.")
        if one.topic in seen:
            one.refuse("the topic is named twice", "Write it once.")
        if one.topic in for_ever and (one.in_topic or one.in_lake):
            one.refuse("what the topic says has to be known for ever", "Leave in_topic and in_lake out.")
        seen.add(one.topic)
        _check_windows(one, project)


def _check_windows(one: Retention, project: Project) -> None:
    source = project.sources.get(one.topic)
    if one.in_lake is None or source is None:
        return
    for view in project.views_of(source):
        longest_us = max(kept.window_us for kept in view.aggregations.values())
        if microseconds(one.in_lake) < longest_us + source.max_lateness_us:
            one.refuse(
                f"in_lake is {one.in_lake}, shorter than the longest window of view {view.name} and what may "
                f"be late ({source.max_lateness}): its rows could not be made again",
                "Keep the lake longer, or the window shorter.",
            )
