"""The consistency monitor: recomputes a sample of what was served from the lake, window by window.

It keeps nothing of its own. Where it stands is in what it told; what it judges is in the lake; and what it
tells of a window is a function of the log, cut where each partition had passed the window's end. So a process
that was killed, or took the windows over, goes on where the last one stopped and tells nothing twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from bus.errors import Unavailable
from bus.watermarks import Watermark
from feature_store.offline import Applied, Reached, differences, freshness_gaps_us, recompute

from drift_detector.domain.audits import Tally, in_order, judge
from drift_detector.domain.figures import Measured
from drift_detector.domain.windows import LATENESS_US, Window, start_of, window_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from feature_store.contract import Contract
    from feature_store.offline import Served
    from monitoring.served import StoreMonitor
    from numpy.typing import NDArray

    from drift_detector.audit_ports import Ends, Kept, Positions, Sample, ServedLog, Told
    from drift_detector.metrics import AuditMetrics
    from drift_detector.ports import Announcements


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """Monitors of one model that look at the same sample of the same windows.

    Attributes:
        contract: The model's.
        window_us: The windows' length.
        share: Of requests, that are recomputed.
        grace_us: See `Consistency.grace`.
        monitors: What is said of each window.
        objectives_us: By view, how fresh it is to be.
    """

    contract: Contract
    window_us: int
    share: float
    grace_us: int
    monitors: Sequence[StoreMonitor]
    objectives_us: Mapping[str, int]

    @property
    def model(self) -> str:
        """The model's name."""
        return self.contract.model


@dataclass(slots=True)
class _Place:
    """How far an audit has come.

    Attributes:
        next_us: Start of the window that is next.
        cut: The window's predictions end here, once it has closed.
        targets: What the lake has to hold before the window is judged: what the sources held when it closed.
    """

    next_us: int
    cut: Mapping[int, int] | None = None
    targets: Positions | None = None


class Auditor:
    """Looks after the windows of all audits.

    Args:
        audits: What is looked at.
        answers: The name of the predictions' topic.
        keep_us: A new monitor begins so long before the newest request, if there were any then.
        batch_rows: So many vectors are recomputed at once.
        is_stopping: Asked between windows.
    """

    def __init__(  # noqa: PLR0913 - one keyword a port
        self,
        *,
        audits: Sequence[Audit],
        answers: str,
        keep_us: int,
        batch_rows: int,
        log: ServedLog,
        kept: Kept,
        ends: Ends,
        told: Told,
        announcements: Announcements,
        metrics: AuditMetrics,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._audits = audits
        self._answers = answers
        self._keep_us = keep_us
        self._batch_rows = batch_rows
        self._log = log
        self._kept = kept
        self._ends = ends
        self._told = told
        self._announcements = announcements
        self._metrics = metrics
        self._is_stopping = is_stopping
        self._places: dict[int, _Place] = {}
        self._seen: tuple[Positions, Positions] | None = None
        self._told_up_to: Positions | None = None

    def disown(self) -> None:
        """Forget what was seen: whoever owned the windows meanwhile may have told more."""
        self._places.clear()
        self._seen = None

    async def look(self) -> None:
        """Judge every window that has closed and whose events the lake holds, and tell what is new.

        Raises:
            Unavailable: Whatever was not told is told at the next look.
        """
        # Before the lake is looked at: it holds all of that, even where the last records were no events.
        kept = self._kept()
        partitions = list(await self._ends.ask())
        held = await asyncio.to_thread(self._log.refresh, partitions)
        positions = {
            where: max(at, kept[where].next_offset if where in kept else 0) for where, at in held.items()
        }
        # Asked for after the lake: a partition that it holds up to here had nothing more to come.
        ends = await self._ends.ask()
        self._metrics.behind(positions, ends)
        if (positions, ends) == self._seen:
            return
        done = True
        for number, audit in enumerate(self._audits):
            done &= await self._look_after(number, audit, positions, ends)
        self._seen = (positions, ends)
        if done:
            await self._tell_progress({w: at for w, at in positions.items() if w.topic == self._answers})

    async def _tell_progress(self, judged: Positions) -> None:
        if judged == self._told_up_to:
            return
        await self._announcements.measured_up_to({where: Watermark(at) for where, at in judged.items() if at})
        self._told_up_to = judged

    async def _look_after(self, number: int, audit: Audit, positions: Positions, ends: Positions) -> bool:
        """Judge an audit's windows as far as they go; say whether none waits for the lake."""
        place = self._places.get(number) or await self._begin(audit)
        if place is None:
            return True
        self._places[number] = place
        while not self._is_stopping():
            place.cut = place.cut or await self._cut(place.next_us + audit.window_us, positions, ends)
            if place.cut is None:
                return True
            place.targets = place.targets or _sources_of(audit, ends)
            if any(positions.get(where, 0) < target for where, target in place.targets.items()):
                return False
            await self._judge(audit, place.next_us, place.cut, ends)
            self._metrics.judged_until(audit.model, place.next_us + audit.window_us)
            self._places[number] = place = _Place(await self._next_us(audit, place.next_us + audit.window_us))
        return False

    async def _begin(self, audit: Audit) -> _Place | None:
        """Go on where the last word was; a new monitor begins with the first request that is kept."""
        await self._told.caught_up()
        newest = [self._told.newest_us(audit.model, one.name) for one in audit.monitors]
        known = [one for one in newest if one is not None]
        if len(known) == len(newest):
            return _Place(min(known))
        last_us = await asyncio.to_thread(self._log.last_request_us, audit.model)
        if last_us is None:
            return None
        kept_us = max(0, last_us - self._keep_us)
        first_us = await asyncio.to_thread(self._log.first_request_us, audit.model, kept_us)
        return None if first_us is None else _Place(start_of(first_us, audit.window_us))

    async def _next_us(self, audit: Audit, from_us: int) -> int:
        """Return the next window that anything was asked in; the very next where that is not known yet."""
        first_us = await asyncio.to_thread(self._log.first_request_us, audit.model, from_us)
        return from_us if first_us is None else start_of(first_us, audit.window_us)

    async def _cut(self, end_us: int, positions: Positions, ends: Positions) -> Mapping[int, int] | None:
        """Return where a window's predictions end; None while some may be on their way.

        A partition's end where the first record comes that was recorded after the window, and a little more:
        nothing behind it counts. A partition that is read to its end holds nothing up.
        """
        passed = await asyncio.to_thread(self._log.passed, end_us + LATENESS_US)
        if not passed:
            return None
        answers = {where: end for where, end in ends.items() if where.topic == self._answers}
        if any(
            where.partition not in passed and positions.get(where, 0) < end for where, end in answers.items()
        ):
            return None
        return {where.partition: positions.get(where, 0) for where in answers} | dict(passed)

    async def _judge(self, audit: Audit, start_us: int, cut: Mapping[int, int], ends: Positions) -> None:
        window = window_at(start_us, audit.window_us)
        await self._told.caught_up()
        untold = [one for one in audit.monitors if not self._is_told(one, window)]
        if not untold:
            return
        tallies = await self._tallies(audit, window, cut, ends)
        for monitor in untold:
            found = {
                version: judge(monitor, tally, audit.objectives_us) for version, tally in tallies.items()
            }
            measured = [
                Measured(
                    monitor=monitor,
                    version=version,
                    window=window,
                    revision=0,
                    amends=False,
                    decided_us=window.end_us + LATENESS_US,
                    findings=findings,
                )
                for version, findings in in_order(found)
                if not self._is_told(monitor, window, version)
            ]
            await self._announcements.measured(measured)
        self._metrics.audited(audit.model, tallies)

    async def _tallies(
        self, audit: Audit, window: Window, cut: Mapping[int, int], ends: Positions
    ) -> dict[str, Tally]:
        try:
            return await asyncio.to_thread(self._reckon, audit, window, cut, ends)
        except Unavailable:
            raise
        except Exception as error:
            # What this process measures and alerts on beside it goes on, whatever stands in one window's log.
            raise Unavailable(
                f"the window of {audit.model} at {window.start_us} us cannot be recomputed: {error!r}"
            ) from error

    def _is_told(self, monitor: StoreMonitor, window: Window, version: str | None = None) -> bool:
        """Whether a window was told, wholly, or of one version; windows are told in their order."""
        newest_us = self._told.newest_us(monitor.model, monitor.name)
        if newest_us is None or newest_us < window.start_us:
            return False
        return newest_us > window.start_us or version in self._told.versions(monitor.model, monitor.name)

    def _reckon(
        self, audit: Audit, window: Window, cut: Mapping[int, int], ends: Positions
    ) -> dict[str, Tally]:
        """Recompute a window's sample, batch by batch, and sum up by version."""
        sample = self._log.sample(audit.contract, window, cut, audit.share)
        tallies = {
            version: Tally(audit.contract.feature_names, answered, unjudged=sample.unfit.get(version, 0))
            for version, answered in sample.answered.items()
        }
        known = _within(audit.contract, sample.served, ends)
        reached = Reached.shown_by(audit.contract, sample.served.take(known))
        for begin in range(0, len(sample.served), self._batch_rows):
            rows = np.arange(begin, min(begin + self._batch_rows, len(sample.served)))
            self._reckon_batch(audit, sample, (rows[known[rows]], rows[~known[rows]]), reached, tallies)
        return tallies

    def _reckon_batch(
        self,
        audit: Audit,
        sample: Sample,
        rows: tuple[NDArray[np.int64], NDArray[np.int64]],
        reached: Reached,
        tallies: Mapping[str, Tally],
    ) -> None:
        judged, unjudged = rows
        for row in unjudged.tolist():
            tallies[sample.versions[row]].unjudged += 1
        if not len(judged):
            return
        contract, served = audit.contract, sample.served.take(judged)
        events = self._log.events(contract, served)
        again = recompute(contract, events, served, grace_us=audit.grace_us, reached=reached)
        found = differences(served, again)
        gaps_us = freshness_gaps_us(contract, events, served.requests, Applied(served.applied))
        versions = np.array([sample.versions[row] for row in judged.tolist()], object)
        for version in dict.fromkeys(versions.tolist()):
            tallies[version].add(found, gaps_us, versions == version)


def _sources_of(audit: Audit, ends: Positions) -> Positions:
    topics = {view.source.topic for view in audit.contract.views}
    return {where: end for where, end in ends.items() if where.topic in topics}


def _within(contract: Contract, served: Served, ends: Positions) -> NDArray[np.bool_]:
    """Which vectors name positions that their topics have, bool[n]: one created anew forgot the others."""
    known = np.ones(len(served), np.bool_)
    for view in contract.views:
        applied = served.applied[view.name]
        end = np.zeros(applied.shape[1], np.int64)
        for where, at in ends.items():
            if where.topic == view.source.topic and where.partition < len(end):
                end[where.partition] = at
        known &= (applied < end).all(axis=1)
    return known
