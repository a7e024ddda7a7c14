"""What was told of a model's windows: enough to go on, and to know what is new."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from drift_detector.domain.contents import Step
    from drift_detector.domain.figures import Findings


class Topic(NamedTuple):
    """A window of a monitor."""

    monitor: str
    start_us: int


class Entry(NamedTuple):
    """What was last told of it.

    Attributes:
        digest: Of the findings.
        decided_us: The boundary at which they were taken.
    """

    revision: int
    version: str
    digest: str
    decided_us: int


@dataclass(slots=True)
class Diary:
    """All of it, for one model.

    Attributes:
        since_us: The first grain with requests; no window before it is told.
        inputs_us: Boundaries up to here are done, for monitors that need no labels.
        labels_us: The same for those that do.
        version: The one that served last.
        steps: By version, its matured steps, oldest first.
    """

    since_us: int
    inputs_us: int
    labels_us: int
    version: str = ""
    entries: dict[Topic, Entry] = field(default_factory=dict)
    steps: dict[str, list[Step]] = field(default_factory=dict)

    @classmethod
    def begun(cls, since_us: int) -> Diary:
        """Open a diary."""
        return cls(since_us, since_us, since_us)


def digest_of(version: str, findings: Findings) -> str:
    """Return a digest that differs when anything said differs; it is the same on every machine."""
    told = (version, findings.assessment.value, findings.rows, findings.coverage, findings.figures)
    return hashlib.blake2b(repr(told).encode(), digest_size=12).hexdigest()
