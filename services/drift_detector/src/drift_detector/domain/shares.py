"""A partition's share: what its records came to, counted once each.

The share is changed in memory and written as changes, together with the offset they reach.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from drift_detector.domain import inputs, outcomes
from drift_detector.domain.facts import Answered, Resolved
from drift_detector.domain.inputs import InputSketch
from drift_detector.domain.outcomes import LabelSketch
from drift_detector.domain.sums import Summable
from drift_detector.domain.windows import Place, place_of_outcome, place_of_request, start_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from drift_detector.domain.quality import Quality
    from drift_detector.domain.references import Reference

Sketch = TypeVar("Sketch", bound=Summable)


class Crowd(NamedTuple):
    """Requests of one grain that one version answered: where a repeat is looked for."""

    model: str
    version: str
    grain_us: int


@dataclass(frozen=True, slots=True)
class Rules:
    """How a model's facts are counted.

    Attributes:
        grain_us: See `windows.grain_of`.
        quality: What outcomes say of its answers; None where they say nothing, and are not counted.
    """

    grain_us: int
    quality: Quality | None


@dataclass(slots=True)
class Share(Generic[Sketch]):
    """Sketches by place, and who is in them, as far as they were loaded.

    Attributes:
        members: By crowd, each identity's state in the order in which they came: 0 for an answer, and for an
            outcome its revision and value, see `Quality.state`.
        log: By crowd, the entries of `members` as they were made; a later one supersedes.
    """

    sketches: dict[Place, Sketch] = field(default_factory=dict)
    members: dict[Crowd, dict[int, int]] = field(default_factory=dict)
    log: dict[Crowd, list[tuple[int, int]]] = field(default_factory=dict)

    def note(self, crowd: Crowd, identity: int, state: int) -> None:
        """Take an identity's state down."""
        self.members.setdefault(crowd, {})[identity] = state
        self.log.setdefault(crowd, []).append((identity, state))


@dataclass(frozen=True, slots=True)
class Counted:
    """What a batch came to.

    Attributes:
        places: Of sketches that changed.
        crowds: Whose logs grew.
        rows: By model and version, facts that counted.
        repeats: Facts that had counted before, or that a later revision had superseded already.
        contradictions: Outcomes that say otherwise than the same revision did before; the first stays.
    """

    places: set[Place] = field(default_factory=set)
    crowds: set[Crowd] = field(default_factory=set)
    rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    repeats: Counter[tuple[str, str]] = field(default_factory=Counter)
    contradictions: list[Resolved] = field(default_factory=list)


def crowd_of(fact: Answered | Resolved, rules: Rules) -> Crowd:
    """Return the crowd a fact belongs to."""
    return Crowd(fact.model, fact.version, start_of(fact.request_us, rules.grain_us))


def place_of(fact: Answered | Resolved, rules: Rules) -> Place:
    """Return where a fact is counted."""
    find = place_of_request if isinstance(fact, Answered) else place_of_outcome
    return find(fact.model, fact.version, fact.request_us, fact.known_us, rules.grain_us)


def count_answers(
    share: Share[InputSketch],
    answers: Sequence[Answered],
    rules: Mapping[str, Rules],
    reference_of: Callable[[str, str], Reference | None],
) -> Counted:
    """Count answers; of two with one id by one version the first counts."""
    counted = Counted()
    fresh: dict[Place, list[Answered]] = defaultdict(list)
    for one in answers:
        crowd = crowd_of(one, rules[one.model])
        if one.identity in share.members.get(crowd, ()):
            counted.repeats[one.model, one.version] += 1
            continue
        share.note(crowd, one.identity, 0)
        counted.crowds.add(crowd)
        counted.rows[one.model, one.version] += 1
        fresh[place_of(one, rules[one.model])].append(one)
    for place, found in fresh.items():
        sketch = inputs.sketch_of(found, reference_of(place.model, place.version))
        share.sketches[place] = share.sketches.get(place, InputSketch()) + sketch
        counted.places.add(place)
    return counted


def count_outcomes(
    share: Share[LabelSketch],
    resolved: Sequence[Resolved],
    rules: Mapping[str, Rules],
    reference_of: Callable[[str, str], Reference | None],
) -> Counted:
    """Count outcomes; a later revision takes back what the one before it said, when it becomes known."""
    counted = Counted()
    fresh: dict[Place, list[tuple[Resolved, int]]] = defaultdict(list)
    for one in resolved:
        quality = rules[one.model].quality
        if quality is None:
            continue
        crowd = crowd_of(one, rules[one.model])
        state = share.members.get(crowd, {}).get(one.identity)
        known = None if state is None else quality.of_state(state)
        if known is not None and known[0] >= one.revision:
            counted.repeats[one.model, one.version] += 1
            if known[0] == one.revision and known[1] != one.outcome:
                counted.contradictions.append(one)
            continue
        share.note(crowd, one.identity, quality.state(one.revision, one.outcome))
        counted.crowds.add(crowd)
        counted.rows[one.model, one.version] += 1
        signed = fresh[place_of(one, rules[one.model])]
        signed.append((one, 1))
        if known is not None:
            signed.append((replace(one, revision=known[0], outcome=known[1]), -1))
    for place, signed in fresh.items():
        quality = rules[place.model].quality
        assert quality is not None, "outcomes of models without quality are not counted"
        sketch = outcomes.sketch_of(
            [one for one, _ in signed],
            [sign for _, sign in signed],
            reference_of(place.model, place.version),
            quality,
        )
        share.sketches[place] = share.sketches.get(place, LabelSketch()) + sketch
        counted.places.add(place)
    return counted
