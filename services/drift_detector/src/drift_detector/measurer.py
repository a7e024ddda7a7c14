"""Measuring: looks into windows as they close and mature, and tells what monitors find.

Whoever has partition 0 of the answers does it. A figure is taken at a boundary, of what was known in whole
grains before it, so whoever takes it, and whenever, takes the same: an event that is told twice is the same
event. What was told is written down after it was told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.watermarks import low_watermark

from drift_detector.domain.diaries import Diary, Entry, Topic, digest_of
from drift_detector.domain.figures import Measured
from drift_detector.domain.measuring import measure
from drift_detector.domain.schedule import due_at, steps_in
from drift_detector.domain.windows import LATENESS_US, Labelled, start_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.positions import TopicPartition
    from bus.watermarks import Watermark
    from monitoring.monitors import Monitor

    from drift_detector.domain.contents import Contents
    from drift_detector.domain.schedule import Due
    from drift_detector.metrics import Metrics
    from drift_detector.ports import Announcements, Diaries, Frontier
    from drift_detector.shelf import Shelf, View


class Measurer:
    """Looks after the windows of all models.

    Args:
        monitors: By model.
        grains: By model, see `windows.grain_of`.
        keep_us: So long after a window has ended late facts may still change its figures.
        answers: The name of the answers' topic: requests move event time.
    """

    def __init__(  # noqa: PLR0913 - one keyword a port
        self,
        *,
        monitors: Mapping[str, Sequence[Monitor]],
        grains: Mapping[str, int],
        keep_us: int,
        answers: str,
        shelf: Shelf,
        diaries: Diaries,
        frontier: Frontier,
        announcements: Announcements,
        metrics: Metrics,
    ) -> None:
        self._monitors = monitors
        self._grains = grains
        self._keep_us = keep_us
        self._answers = answers
        self._shelf = shelf
        self._diaries = diaries
        self._frontier = frontier
        self._announcements = announcements
        self._metrics = metrics
        self._watermark_us = 0
        self._known: dict[str, Diary] = {}
        self._told_up_to: Mapping[TopicPartition, Watermark] | None = None

    def disown(self) -> None:
        """Forget what was seen: whoever owned the windows meanwhile may have told more."""
        self._known.clear()
        self._shelf.clear()
        self._told_up_to = None

    async def look(self) -> None:
        """Measure every window that is due, and tell what is new.

        Raises:
            Unavailable: Whatever was not told is told at the next look.
        """
        marks = await self._shelf.marks()
        # Asked for after the marks: a partition counted up to here held nothing that should have come before.
        ends = await self._frontier.ends()
        answers = {where: mark for where, mark in marks.items() if where.topic == self._answers}
        idle = {where for where, mark in answers.items() if mark.next_offset >= ends.get(where, 0)}
        if not all(where in answers for where, end in ends.items() if end and where.topic == self._answers):
            return
        self._watermark_us = max(self._watermark_us, low_watermark(answers, idle)[1])
        self._metrics.measured_up_to(self._watermark_us)
        done = True
        for model in self._monitors:
            done &= await self._look_after(model)
        if done and marks != self._told_up_to:
            await self._announcements.measured_up_to(marks)
            self._told_up_to = marks

    async def _look_after(self, model: str) -> bool:
        """Measure a model's windows; say whether nothing is left to tell of it for now."""
        boundary_us = start_of(self._watermark_us - LATENESS_US, self._grains[model])
        diary = self._known.get(model)
        if diary is not None and min(diary.inputs_us, diary.labels_us) >= boundary_us:
            return True
        # Read after the marks that moved the watermark: whatever they count is in it.
        view = await self._shelf.view(model)
        if diary is None:
            diary = await self._begin(model, view, boundary_us)
            if diary is None:
                return True
        await self._tell_inputs(model, diary, view, boundary_us)
        await self._tell_labels(model, diary, boundary_us)
        await self._forget(model, diary)
        return diary.labels_us >= boundary_us

    async def _begin(self, model: str, view: View, boundary_us: int) -> Diary | None:
        """Open the diary where it was left; a new one begins once the first grain is over."""
        diary = await self._diaries.read(model)
        if diary is None:
            first_us = view.first_grain_us
            if first_us is None or boundary_us <= first_us:
                return None
            diary = Diary.begun(first_us)
        self._known[model] = diary
        return diary

    async def _tell_inputs(self, model: str, diary: Diary, view: View, until_us: int) -> None:
        monitors = [one for one in self._monitors[model] if not isinstance(one, Labelled)]
        grain_us = self._grains[model]
        for at_us in range(start_of(diary.inputs_us, grain_us), until_us, grain_us):
            changed = view.answers_known_at(at_us)
            await self._tell(monitors, diary, view, at_us + grain_us, changed)
            diary.inputs_us = at_us + grain_us
            await self._diaries.write(model, diary)

    async def _tell_labels(self, model: str, diary: Diary, boundary_us: int) -> None:
        monitors = [one for one in self._monitors[model] if isinstance(one, Labelled)]
        if not monitors:
            diary.labels_us = max(diary.labels_us, boundary_us)
            return
        until_us = min(boundary_us, await self._frontier.labels_up_to(boundary_us))
        if until_us <= diary.labels_us:
            return
        view = await self._shelf.view(model)
        grain_us = self._grains[model]
        for at_us in range(start_of(diary.labels_us, grain_us), until_us, grain_us):
            changed = view.answers_known_at(at_us) | view.outcomes_known_at(at_us)
            await self._tell(monitors, diary, view, at_us + grain_us, changed)
            diary.labels_us = at_us + grain_us
            await self._diaries.write(model, diary)

    async def _tell(
        self,
        monitors: Sequence[Monitor],
        diary: Diary,
        view: View,
        boundary_us: int,
        changed: set[int],
    ) -> None:
        told = [
            measured
            for due in due_at(boundary_us, monitors, diary, changed)
            if not self._is_long_silent(view, due)
            if (measured := await self._measure(due, diary, view, boundary_us)) is not None
        ]
        if not told:
            return
        await self._announcements.measured(told)
        for measured in told:
            self._note(diary, measured)
            self._metrics.measured(measured)

    def _is_long_silent(self, view: View, due: Due) -> bool:
        """A window without rows is told; years of them are not."""
        return not view.has_grains_in(due.window.start_us - self._keep_us, due.window.end_us)

    async def _measure(self, due: Due, diary: Diary, view: View, boundary_us: int) -> Measured | None:
        contents = await view.contents(
            due.window, boundary_us, diary, labels=isinstance(due.monitor, Labelled)
        )
        if (
            isinstance(due.monitor, Labelled)
            and not due.is_mature
            and contents.coverage < due.monitor.coverage
        ):
            return None
        contents = await self._with_steps(due, diary, view, contents, boundary_us)
        findings = measure(due.monitor, contents)
        entry = diary.entries.get(Topic(due.monitor.name, due.window.start_us))
        if entry is not None and entry.digest == digest_of(contents.version, findings):
            return None
        revision = 0 if entry is None else entry.revision + 1
        return Measured(
            monitor=due.monitor,
            version=contents.version,
            window=due.window,
            revision=revision,
            amends=due.is_told,
            decided_us=boundary_us,
            findings=findings,
        )

    async def _with_steps(
        self, due: Due, diary: Diary, view: View, contents: Contents, boundary_us: int
    ) -> Contents:
        windows = steps_in(due.window, due.monitor)
        if not windows:
            return contents
        least = max(1, due.monitor.minimum_rows // len(windows))
        steps = await view.steps(contents.version, windows, boundary_us, least)
        known = [
            one
            for one in diary.steps.get(contents.version, ())
            if not due.window.start_us <= one.start_us < due.window.end_us
        ]
        diary.steps[contents.version] = sorted([*known, *steps])
        return contents.with_steps(
            [one for one in diary.steps[contents.version] if one.start_us < due.window.end_us]
        )

    def _note(self, diary: Diary, measured: Measured) -> None:
        topic = Topic(measured.monitor.name, measured.window.start_us)
        digest = digest_of(measured.version, measured.findings)
        diary.entries[topic] = Entry(measured.revision, measured.version, digest, measured.decided_us)
        diary.version = measured.version or diary.version

    async def _forget(self, model: str, diary: Diary) -> None:
        longest_us = max(one.window_us for one in self._monitors[model])
        before_us = min(diary.inputs_us, diary.labels_us) - longest_us - self._keep_us
        diary.entries = {
            topic: entry for topic, entry in diary.entries.items() if topic.start_us >= before_us
        }
        await self._shelf.forget(model, before_us)
