"""Comparing: looks into windows as they close and mature, and says what changed.

Every process reports how far it is; the one that has partition 0 of the predictions owns the windows. For a
moment two may think so, or one may die between deciding and telling; neither matters: a revision is stored
before it is told, once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bus.watermarks import Watermark, low_watermark

from shadow_comparator.domain.comparing import compare
from shadow_comparator.domain.maturing import Look, Stage, worth_looking
from shadow_comparator.domain.measures import NOTHING
from shadow_comparator.domain.revisions import Compared, Pair, evidence_up_to
from shadow_comparator.domain.verdicts import judge
from shadow_comparator.domain.windows import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.positions import TopicPartition
    from monitoring import Differences

    from shadow_comparator.domain.comparing import Comparison
    from shadow_comparator.domain.maturing import WindowPolicy
    from shadow_comparator.domain.revisions import Stored
    from shadow_comparator.domain.tasks import ModelRules
    from shadow_comparator.domain.verdicts import VerdictPolicy
    from shadow_comparator.domain.windows import Glimpse
    from shadow_comparator.metrics import Metrics
    from shadow_comparator.ports import Announcements, ComparisonLog, Marks, WindowLog


@dataclass(frozen=True, slots=True)
class Policies:
    """What is compared, and by which rules.

    Attributes:
        models: How the answers of each model are read.
        quiet_us: Real time without any input after which whatever changed is said.
        forget_us: Event time after which a window is no longer watched for late labels.
    """

    models: Mapping[str, ModelRules]
    windows: WindowPolicy
    verdicts: VerdictPolicy
    quiet_us: int
    forget_us: int


class Comparer:
    """Looks after the windows of all models."""

    def __init__(
        self,
        *,
        windows: WindowLog,
        comparisons: ComparisonLog,
        marks: Marks,
        announcements: Announcements,
        policies: Policies,
        metrics: Metrics,
    ) -> None:
        self._windows = windows
        self._comparisons = comparisons
        self._marks = marks
        self._announcements = announcements
        self._policies = policies
        self._metrics = metrics
        self._looks: dict[Window, Look] = {}
        self._silence = Silence()
        self._watermark_us = 0
        self._told_up_to: Mapping[TopicPartition, Watermark] = {}

    def disown(self) -> None:
        """Forget what was seen: whoever owned the windows meanwhile may have said more."""
        self._looks.clear()
        self._told_up_to = {}

    async def look(self, now_us: int) -> None:
        """Look into every window worth looking into, oldest first, and tell what changed.

        Args:
            now_us: Real time, which decides nothing but whether it is quiet.

        Raises:
            Unavailable: Whatever was not told is told at the next look.
        """
        marks, idle = await self._marks.read()
        # A partition that stood idle may come back with older events; what was closed stays closed.
        self._watermark_us = max(self._watermark_us, low_watermark(marks, idle)[1])
        self._metrics.closed_up_to(self._watermark_us)
        quiet = self._silence.lasts_us(marks, now_us) >= self._policies.quiet_us
        done = True
        for model in self._policies.models:
            for glimpse in await self._windows.glimpse(model):
                done &= await self._look_into(Window(model, glimpse.start_us), glimpse, quiet=quiet)
        if done and marks != self._told_up_to:
            await self._announcements.told_up_to(marks)
            self._told_up_to = dict(marks)

    async def _look_into(self, window: Window, glimpse: Glimpse, *, quiet: bool) -> bool:
        """Look into a window if it is worth it; say whether there is nothing left to tell of it for now."""
        last = self._looks.get(window)
        look = worth_looking(glimpse, last, self._policies.windows, self._watermark_us, quiet=quiet)
        if look is not None:
            if not await self._compare(window):
                return False
            self._looks[window] = look
        elif last is not None and last.changes == glimpse.changes and self._is_over(window):
            await self._windows.forget(window, glimpse.changes)
            del self._looks[window]
        return True

    def _is_over(self, window: Window) -> bool:
        return self._watermark_us >= window.start_us + self._policies.forget_us

    async def _compare(self, window: Window) -> bool:
        """Compare all pairs of a window; say whether that is done: somebody else may have been first."""
        done = True
        contents = await self._windows.contents(window)
        newest = await self._comparisons.newest(window)
        for comparison in compare(contents, self._policies.models[window.model]):
            pair = Pair(window.model, comparison.champion.version, comparison.challenger.version)
            evidence = await self._comparisons.evidence(pair)
            compared = self._judge(window, comparison, evidence)
            done &= await self._say(compared, newest.get(pair))
            if evidence.get(window.start_us, NOTHING) != compared.weight:
                self._reconsider_after(window)
        return done

    def _judge(self, window: Window, comparison: Comparison, evidence: Mapping[int, Differences]) -> Compared:
        rules = self._policies.windows
        # Where no outcome decides anything, there is none to wait for.
        coverage = comparison.coverage if comparison.task.is_judged else math.inf
        stage = rules.stage(window.start_us, coverage, self._watermark_us)
        matured = evidence_up_to(window, stage, comparison.differences, evidence)
        return Compared(
            window=window,
            window_end_us=window.start_us + rules.length_us,
            revision=0,
            provisional=stage < Stage.COVERED,
            comparison=comparison,
            judgement=judge(matured, self._policies.verdicts, comparison.task),
            watermark_us=self._watermark_us,
        )

    async def _say(self, compared: Compared, stored: Stored | None) -> bool:
        """Store, weigh and tell; each step takes up where whoever died left off."""
        if stored is None or stored.figures != compared.figures:
            compared = replace(compared, revision=0 if stored is None else stored.revision + 1)
            stored = await self._comparisons.propose(compared)
            if stored is None:
                return False
            self._metrics.compared(compared)
        await self._comparisons.weigh(replace(compared, revision=stored.revision))
        if not stored.is_published:
            await self._announcements.compared(stored)
            await self._comparisons.published(compared.window, compared.pair, stored.revision)
        return True

    def _reconsider_after(self, window: Window) -> None:
        for later in [one for one in self._looks if one.model == window.model and one > window]:
            del self._looks[later]


class Silence:
    """Knows for how long nothing has come in."""

    def __init__(self) -> None:
        self._marks: Mapping[TopicPartition, Watermark] = {}
        self._since_us: int | None = None

    def lasts_us(self, marks: Mapping[TopicPartition, Watermark], now_us: int) -> int:
        """Return for how long the group's marks have been these."""
        if self._since_us is None or marks != self._marks:
            self._marks, self._since_us = marks, now_us
        return now_us - self._since_us
