"""What the demo is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples.flights.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL = "flight-delay"
TRAINER, APPROVER, OPERATOR = "demo-trainer", "demo-approver", "demo-operator"
CHAMPION, CHALLENGER, BAD = "gradient-boosting", "logistic-regression", "shuffled-labels"


# Just before the half-yearly retraining is due.
_AUGUST = Fault(datetime(2013, 8, 30, tzinfo=UTC), datetime(2013, 9, 2, tzinfo=UTC))


def _usual_plan() -> dict[str, Any]:
    return {
        "shadow_windows": 7,
        "canary_basis_points": [100, 500, 1000, 2500, 5000],
        "step_windows": 1,
        "guard_windows": 7,
    }


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
        project: Declares the features, the model, and what is watched.
        settings: More environment for every service.
        plan: How a candidate is rolled out.
        fault: What breaks on purpose.
        call_seconds: How long a question waits for its answer, retries included.
    """

    folder: Path = Path("build/demo")
    learn_from: datetime = datetime(2013, 1, 1, tzinfo=UTC)
    live_from: datetime = datetime(2013, 4, 1, tzinfo=UTC)
    live_to: datetime = datetime(2013, 10, 1, tzinfo=UTC)
    tick: timedelta = timedelta(minutes=30)
    speed: float | None = None
    features: int = 1
    partitions: int | None = None
    project: str = "examples.flights"
    settings: Mapping[str, str] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=_usual_plan)
    fault: Fault | None = _AUGUST
    call_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not self.learn_from < self.live_from < self.live_to:
            raise ValueError(
                f"the demo learns from {self.learn_from:%Y-%m-%d}, lives from {self.live_from:%Y-%m-%d} "
                f"and ends at {self.live_to:%Y-%m-%d}: each must be later than the one before"
            )
        if self.live_to > datetime(2014, 1, 1, tzinfo=UTC):
            raise ValueError("the flights end with 2013: choose an end no later than 2014-01-01")
