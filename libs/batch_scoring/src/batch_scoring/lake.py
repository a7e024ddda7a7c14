"""The lake's events that a batch of requests may see, of what the lake held when the job began."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from training_sets import TableVersion
from training_sets.lake import held_by, open_table, read_events
from training_sets.narrowing import events_about, events_ever_about, reach_us

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from deltalake import DeltaTable
    from feature_store import Contract, EventBatch, Requests, RowPositions, Source
    from numpy.typing import NDArray

MOST_EVENTS: Final = 500_000
"""Of one source held at once, where requests can be divided by time: about 300 MB."""

_MOMENT: Final = pa.timestamp("us", tz="UTC")


def sources_of(contract: Contract) -> dict[str, Source]:
    """Return the sources that a contract's views read, by topic."""
    return {view.source.topic: view.source for view in contract.views}


def pin(uri: str, contract: Contract) -> dict[str, TableVersion]:
    """Note what each source's table holds now: by partition, the offset behind its last event.

    Raises:
        DatasetError: there is no such table, or it cannot be read.
    """
    return {topic: _held(open_table(uri, source)) for topic, source in sources_of(contract).items()}


class PinnedEvents:
    """Events below `uri`, up to the offsets that were noted when the job began.

    A job that is resumed sees what it saw before, whatever the archiver added meanwhile.

    Raises:
        DatasetError: there is no such table, or it cannot be read.
    """

    def __init__(
        self,
        uri: str,
        contract: Contract,
        pinned: Mapping[str, TableVersion],
        most_events: int = MOST_EVENTS,
    ) -> None:
        self._contract = contract
        self._most_events = most_events
        self._tables = {
            topic: _Pinned(source, open_table(uri, source), pinned[topic])
            for topic, source in sources_of(contract).items()
        }

    def about(
        self, requests: Requests, lost: Mapping[str, Requests] = MappingProxyType({})
    ) -> dict[str, EventBatch]:
        """Return, by topic, all events that rows of these requests may have held.

        Args:
            requests: At least one.
            lost: By view, requests whose rows are read from their first event on.

        Raises:
            DatasetError: a table cannot be read.
        """
        latest_us = int(requests.time_us.max())
        wanted = {
            topic: events_about(self._contract, table.source, requests, latest_us)
            for topic, table in self._tables.items()
        }
        for view in self._contract.views:
            if view.name in lost:
                wanted[view.source.topic] |= events_ever_about(view, lost[view.name], latest_us)
        return {topic: table.read(wanted[topic]) for topic, table in self._tables.items()}

    def lost(self, requests: Requests, positions: Sequence[RowPositions]) -> dict[str, NDArray[np.bool_]]:
        """Return, by view, which requests found no row though events too old for `about` may have made one.

        Such a row is STALE, and one that never was is MISSING.

        Args:
            requests: That vectors were made of, by what `about` returned.
            positions: What the vectors say of their rows.
        """
        first_us = int(requests.time_us.min())
        found = {one.view: one.found for one in positions}
        lost = {}
        for view in self._contract.views:
            table = self._tables[view.source.topic]
            if table.begins_before(first_us - reach_us(self._contract, view.source)):
                keyed = np.array([bool(key) for key in requests.keys_of(view.entity)], np.bool_)
                lost[view.name] = keyed & ~found[view.name]
        return {view: rows for view, rows in lost.items() if rows.any()}

    def stretches(self, requests: Requests) -> Iterator[NDArray[np.int64]]:
        """Divide requests by time, so that few events are held at once; nothing is left out or said twice."""
        order = np.argsort(requests.time_us, kind="stable")
        yield from self._divided(order, requests.time_us)

    def _divided(self, order: NDArray[np.int64], time_us: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        first_us, last_us = int(time_us[order[0]]), int(time_us[order[-1]])
        # Requests closer than features look back share most of their events: dividing them gains nothing.
        divisible = {t: reach_us(self._contract, one.source) for t, one in self._tables.items()}
        many = any(
            last_us - first_us > (reach := divisible[topic])
            and table.count(first_us - reach, last_us) > self._most_events
            for topic, table in self._tables.items()
        )
        if not many or len(order) == 1:
            yield order
            return
        middle = int(np.searchsorted(time_us[order], (first_us + last_us) // 2, side="right"))
        yield from self._divided(order[:middle], time_us)
        yield from self._divided(order[middle:], time_us)


@dataclass(eq=False)
class _Pinned:
    """A source's table, and how much of it counts."""

    source: Source
    table: DeltaTable
    pinned: TableVersion

    def read(self, wanted: pc.Expression) -> EventBatch:
        """Read the events that a condition holds for, as far as they count."""
        batch = read_events(self.table, self.source, wanted)
        return batch.take(held_by(batch, self.pinned.next_offsets))

    def count(self, from_us: int, until_us: int) -> int:
        """Return how many events there may be in a period: those of all files that reach into it."""
        rows, first_us, last_us = self._files
        return int(rows[(last_us >= from_us) & (first_us <= until_us)].sum())

    def begins_before(self, time_us: int) -> bool:
        """Whether there may be events before a time."""
        _, first_us, _ = self._files
        return bool((first_us < time_us).any())

    @cached_property
    def _files(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Rows, least and greatest event time of each file; one without statistics reaches everywhere."""
        files = pa.table(self.table.get_add_actions(flatten=True))
        bounds = np.iinfo(np.int64)
        return (
            pc.fill_null(files["num_records"], self.pinned.rows).to_numpy(),
            _times(files, "min._event_time", int(bounds.min)),
            _times(files, "max._event_time", int(bounds.max)),
        )


def _times(files: pa.Table, name: str, unknown: int) -> NDArray[np.int64]:
    if name not in files.column_names:
        return np.full(files.num_rows, unknown, np.int64)
    found: NDArray[np.int64] = files[name].cast(_MOMENT).cast(pa.int64()).fill_null(unknown).to_numpy()
    return found


def _held(table: DeltaTable) -> TableVersion:
    """Look at the positions of every event: rows of a table need not come from the archiver alone."""
    ends: dict[int, int] = {}
    rows = 0
    for batch in table.to_pyarrow_dataset().to_batches(columns=["_partition", "_offset"]):
        rows += batch.num_rows
        found = pa.table(batch).group_by("_partition").aggregate([("_offset", "max")])
        for partition, last in zip(
            found["_partition"].to_pylist(), found["_offset_max"].to_pylist(), strict=True
        ):
            ends[partition] = max(ends.get(partition, 0), last + 1)
    return TableVersion(table.version(), ends, rows)
