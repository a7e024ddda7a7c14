"""Who may have something of a subject in hand: what was published before it was announced as erased."""

import asyncio
from collections import Counter
from collections.abc import Mapping

from bus.ends import after_last_records
from bus.kafka.admin import committed_offsets
from bus.topics import OUTCOMES_OBSERVED, PREDICTIONS_MADE, SHADOW_MADE
from deltalake import DeltaTable
from feature_store import Project
from feature_store.online.keepers import feature_group
from feature_store.subjects import named_in

from tidemark_cli.forgetting.tables import naming_entities, platform_path
from tidemark_cli.lake import positions_of

Partition = tuple[str, int]
_SHADOW_COMPARATOR = "shadow-comparator"


class Writers:
    """archiver, `feature` and shadow_comparator, as far as their topics name an entity.

    Args:
        project: Whose sources.
        entity: The entity's name.
        lake_uri: Where archiver's positions are.
        bootstrap: Where those of the others are.
    """

    def __init__(self, project: Project, entity: str, lake_uri: str, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._feature = feature_group(project)
        self._lake_uri = lake_uri.rstrip("/")
        self._sources = sorted(named_in(project.views.values(), project.models.values()).get(entity, {}))
        self._platform = [OUTCOMES_OBSERVED.name, *naming_entities()]

    async def ends(self) -> dict[Partition, int]:
        """Ask where the topics end now.

        Raises:
            Unavailable: the broker is away, or a topic does not exist.
        """
        ends = await after_last_records(self._bootstrap, [*self._sources, *self._platform])
        return {(topic, partition): end for (topic, partition), end in ends.items()}

    async def left(self, ends: Mapping[Partition, int]) -> int:
        """Count the records before `ends` that somebody has yet to deal with.

        Raises:
            Unavailable: the broker is away.
        """
        archived = await asyncio.to_thread(self._archived, ends)
        reached = [(ends, archived)]
        for group, topics in (
            (self._feature, self._sources),
            (_SHADOW_COMPARATOR, [PREDICTIONS_MADE.name, SHADOW_MADE.name]),
        ):
            committed = await committed_offsets(self._bootstrap, group)
            # A group that never committed has nothing in hand, unless it is `feature`, which has to run.
            if committed or group == self._feature:
                own = {where: end for where, end in ends.items() if where[0] in topics}
                offsets = {(one.topic, one.partition): offset for one, offset in committed.items()}
                reached.append((own, offsets))
        return max(
            sum(max(0, end - offsets.get(where, 0)) for where, end in wanted.items())
            for wanted, offsets in reached
        )

    def _archived(self, ends: Mapping[Partition, int]) -> dict[Partition, int]:
        found: dict[Partition, int] = {}
        for topic, partitions in Counter(topic for topic, _ in ends).items():
            path = f"sources/{topic}" if topic in self._sources else platform_path(topic)
            location = f"{self._lake_uri}/{path}"
            if DeltaTable.is_deltatable(location):
                positions = positions_of(DeltaTable(location), topic, partitions)
                found |= {(topic, partition): end for partition, end in positions.items()}
        return found
