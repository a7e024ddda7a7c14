"""What the demo is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

MODEL = "flight-delay"
CHAMPION, CHALLENGER = "gradient-boosting", "logistic-regression"


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Where, how far and how fast to live.

    Attributes:
        folder: Everything of a run is here; what an earlier run left is removed first.
        learn_from: The first moment published, archived and trained on.
        live_from: Training ends and living begins.
        live_to: Where living ends.
        tick: Step of event time; a question is asked on what was known at the last step before it. Zero ends
            a step at every question.
        speed: Times real time; None is as fast as the consumers keep up.
        features: How many `feature` processes share the work.
        partitions: Of every source topic; as declared when None.
    """

    folder: Path = Path("build/demo")
    learn_from: datetime = datetime(2013, 1, 1, tzinfo=UTC)
    live_from: datetime = datetime(2013, 4, 1, tzinfo=UTC)
    live_to: datetime = datetime(2013, 10, 1, tzinfo=UTC)
    tick: timedelta = timedelta(minutes=15)
    speed: float | None = None
    features: int = 1
    partitions: int | None = None

    def __post_init__(self) -> None:
        if not self.learn_from < self.live_from < self.live_to:
            raise ValueError(
                f"the demo learns from {self.learn_from:%Y-%m-%d}, lives from {self.live_from:%Y-%m-%d} "
                f"and ends at {self.live_to:%Y-%m-%d}: each must be later than the one before"
            )
        if self.live_to > datetime(2014, 1, 1, tzinfo=UTC):
            raise ValueError("the flights end with 2013: choose an end no later than 2014-01-01")
