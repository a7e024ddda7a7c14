"""What is measured over the pairs of a window, and the pairs themselves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from monitoring import Differences, Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Column = NDArray[np.float64]

NOTHING: Final = Differences(0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Quality:
    """How well one version did on the labelled pairs; None where a metric is undefined.

    Attributes:
        positives: Of two classes, as the metrics.
    """

    version: str
    labelled: int
    positives: int = 0
    roc_auc: float | None = None
    log_loss: float | None = None
    brier: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of both versions, or of the two together.

    Attributes:
        rows: The pairs behind it.
        champion: Against outcomes, as `challenger` and `difference`, the challenger's less the champion's.
        between: Of the answers of the two with each other.
    """

    name: str
    rows: int
    champion: Estimate | None = None
    challenger: Estimate | None = None
    difference: Estimate | None = None
    between: Estimate | None = None

    @property
    def is_defined(self) -> bool:
        """Whether it says anything."""
        return any((self.champion, self.challenger, self.difference, self.between))


@dataclass(frozen=True, slots=True)
class Figures:
    """What a task makes of the pairs of a window.

    Attributes:
        labelled: Pairs on which both versions could be judged.
        differences: Of the loss that versions are judged by, challenger less champion, over these.
        agreement: 0, as `flips`, where versions decide nothing.
    """

    labelled: int
    measures: tuple[Measure, ...]
    differences: Differences = NOTHING
    agreement: float = 0.0
    flips: int = 0


@dataclass(frozen=True, eq=False)
class Pairs:
    """Requests that two versions answered, in one order whatever the order of arrival.

    Attributes:
        ours: The champion's scores, float64[n].
        theirs: The challenger's.
        our_numbers: Row by row what the champion answered beside its score, little-endian float64: the
            probabilities of many classes, or an embedding; empty where it was not recorded.
        their_numbers: The challenger's.
        labels: The truth, float64[n]; NaN where it is not known.
    """

    ours: Column
    theirs: Column
    our_numbers: tuple[bytes, ...]
    their_numbers: tuple[bytes, ...]
    labels: Column

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Where the truth is known."""
        return np.isfinite(self.labels)


def rows_of(numbers: tuple[bytes, ...], where: NDArray[np.bool_], width: int) -> Column:
    """Lay out the numbers of some pairs, float64[m, width]."""
    chosen = b"".join(numbers[at] for at in np.flatnonzero(where))
    return np.frombuffer(chosen, "<f8").reshape(-1, width)
