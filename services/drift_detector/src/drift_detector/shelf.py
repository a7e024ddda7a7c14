"""All partitions' shares, read together by whoever measures."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

from drift_detector.domain.contents import Contents, Step
from drift_detector.domain.outcomes import EVERYTHING, LabelSketch
from drift_detector.domain.sums import Summable
from drift_detector.domain.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bus.positions import TopicPartition
    from bus.watermarks import Watermark

    from drift_detector.domain.diaries import Diary
    from drift_detector.domain.inputs import InputSketch
    from drift_detector.domain.references import Reference
    from drift_detector.domain.shares import Rules
    from drift_detector.domain.windows import Place
    from drift_detector.ports import References, Shares

Sketch = TypeVar("Sketch", bound=Summable)
_SKETCHES_KEPT = 128


class Stack(Generic[Sketch]):
    """One topic's shares, and where its sketches are."""

    def __init__(
        self, shares: Shares[Sketch], partitions: Sequence[TopicPartition], empty: type[Sketch]
    ) -> None:
        self._shares = shares
        self._partitions = partitions
        self._empty = empty
        self._read: OrderedDict[Place, Sketch] = OrderedDict()
        self.places: dict[Place, list[TopicPartition]] = {}

    async def marks(self) -> Mapping[TopicPartition, Watermark]:
        """Return how far partitions were counted."""
        return await self._shares.marks(self._partitions)

    async def list(self) -> None:
        """Find out which places there are."""
        self.places = defaultdict(list)
        for where in self._partitions:
            for place in (await self._shares.held(where)).places:
                self.places[place].append(where)

    async def total(self, places: Iterable[Place]) -> Sketch:
        """Add up sketches over partitions and places."""
        total = self._empty()
        for sketch in (await self.read(sorted(places))).values():
            total = total + sketch
        return total

    async def read(self, places: Sequence[Place]) -> Mapping[Place, Sketch]:
        """Read sketches, each added up over partitions; places must be complete: they are remembered."""
        wanted: dict[TopicPartition, list[Place]] = defaultdict(list)
        for place in places:
            if place not in self._read:
                for where in self.places.get(place, ()):
                    wanted[where].append(place)
        fetched: dict[Place, Sketch] = {}
        for where, missing in wanted.items():
            for place, sketch in (await self._shares.sketches(where, missing)).items():
                fetched[place] = fetched[place] + sketch if place in fetched else sketch
        found = {place: self._read[place] for place in places if place in self._read} | fetched
        self._read.update(fetched)
        while len(self._read) > _SKETCHES_KEPT:
            self._read.popitem(last=False)
        return found

    def clear(self) -> None:
        """Forget what was read."""
        self._read.clear()

    async def forget(self, before_us: int) -> None:
        """Remove grains before a time."""
        for where in self._partitions:
            await self._shares.forget(where, before_us)


class Shelf:
    """The answers' and the outcomes' shares."""

    def __init__(
        self,
        answers: Stack[InputSketch],
        outcomes: Stack[LabelSketch],
        references: References,
        rules: Mapping[str, Rules],
    ) -> None:
        self._answers = answers
        self._outcomes = outcomes
        self._references = references
        self._rules = rules
        self._floors: dict[str, int] = {}

    async def marks(self) -> Mapping[TopicPartition, Watermark]:
        """Return how far all partitions were counted."""
        return {**await self._answers.marks(), **await self._outcomes.marks()}

    async def view(self, model: str) -> View:
        """List what is there of a model now."""
        await self._answers.list()
        await self._outcomes.list()
        return View(model, self._answers, self._outcomes, self._references, self._rules[model])

    def clear(self) -> None:
        """Forget what was read."""
        self._answers.clear()
        self._outcomes.clear()
        self._floors.clear()

    async def forget(self, model: str, before_us: int) -> None:
        """Note that a model needs no grains before a time; what no model needs is removed."""
        lowest = min(self._floors.values(), default=0)
        self._floors[model] = before_us
        if len(self._floors) == len(self._rules) and min(self._floors.values()) > lowest:
            await self._answers.forget(min(self._floors.values()))
            await self._outcomes.forget(min(self._floors.values()))


class View:
    """What there was of a model at one moment: where sketches are, not yet what is in them."""

    def __init__(
        self,
        model: str,
        answers: Stack[InputSketch],
        outcomes: Stack[LabelSketch],
        references: References,
        rules: Rules,
    ) -> None:
        self._model = model
        self._answers = answers
        self._outcomes = outcomes
        self._references = references
        self._grain_us = rules.grain_us
        self._quality = rules.quality
        self._answered = [place for place in answers.places if place.model == model]
        self._resolved = [place for place in outcomes.places if place.model == model]

    @property
    def first_grain_us(self) -> int | None:
        """The first grain with an answer."""
        return min((place.grain_us for place in self._answered), default=None)

    def answers_known_at(self, known_us: int) -> set[int]:
        """Return the grains of which answers became known in this grain of time."""
        return self._known_at(self._answered, known_us)

    def outcomes_known_at(self, known_us: int) -> set[int]:
        """Return the grains of which outcomes became known in this grain of time."""
        return self._known_at(self._resolved, known_us)

    def has_grains_in(self, start_us: int, end_us: int) -> bool:
        """Say whether anything was answered in a stretch of time."""
        return any(start_us <= place.grain_us < end_us for place in self._answered)

    async def contents(self, window: Window, boundary_us: int, diary: Diary, *, labels: bool) -> Contents:
        """Read what the version that served most of a window did in it, as known at a boundary."""
        by_version: dict[str, list[Place]] = defaultdict(list)
        for place in self._within(self._answered, window, boundary_us):
            by_version[place.version].append(place)
        totals = {version: await self._answers.total(places) for version, places in by_version.items()}
        if not totals:
            return Contents(window, diary.version, await self._reference(diary.version), self._quality)
        version = max(totals, key=lambda one: (totals[one].champion_rows, totals[one].rows, one))
        resolved = [
            one for one in self._within(self._resolved, window, boundary_us) if one.version == version
        ]
        outcomes = await self._outcomes.total(resolved) if labels else LabelSketch()
        served = await self._served(by_version[version])
        reference = await self._reference(version)
        return Contents(window, version, reference, self._quality, totals[version], outcomes, served)

    async def steps(
        self, version: str, windows: Iterable[Window], boundary_us: int, least_rows: int
    ) -> list[Step]:
        """Read the errors of a version's steps; those with too few outcomes are left out."""
        steps = []
        for window in windows:
            places = [
                one for one in self._within(self._resolved, window, boundary_us) if one.version == version
            ]
            sketch = await self._outcomes.total(places)
            if not sketch or self._quality is None:
                continue
            rows, error = self._quality.errors(sketch[EVERYTHING])
            if rows >= least_rows:
                steps.append(Step(window.start_us, rows, error))
        return steps

    def _known_at(self, places: Iterable[Place], known_us: int) -> set[int]:
        end_us = known_us + self._grain_us
        return {place.grain_us for place in places if known_us <= place.known_us < end_us}

    def _within(self, places: Iterable[Place], window: Window, boundary_us: int) -> list[Place]:
        return [
            place
            for place in places
            if window.start_us <= place.grain_us < window.end_us and place.known_us < boundary_us
        ]

    async def _served(self, places: Sequence[Place]) -> Window | None:
        sketches = await self._answers.read(places)
        grains = [place.grain_us for place, sketch in sketches.items() if sketch.champion_rows]
        return Window(min(grains), max(grains) + self._grain_us) if grains else None

    async def _reference(self, version: str) -> Reference | None:
        return await self._references.of(self._model, version) if version else None
