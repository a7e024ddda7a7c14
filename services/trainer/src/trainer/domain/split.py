"""Dividing a training set by time: what is held out is later than what is learned from."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from training_sets.examples import LabelledRequests

from trainer.domain.errors import InvalidPeriod, OneClassOnly

_HOLDOUT_FIFTHS: Final = 1


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of the two parts; rows asked before the cut whose label was not known by then are in neither.

    Attributes:
        cut_us: Where the holdout begins.
        training: Rows asked before the cut with a label known before it.
        holdout: Rows asked at or after the cut.
    """

    cut_us: int
    training: NDArray[np.bool_]
    holdout: NDArray[np.bool_]


def split_by_time(labelled: LabelledRequests) -> Split:
    """Hold out the last fifth of the time between the first and the last request.

    Raises:
        InvalidPeriod: one of the parts is empty.
        OneClassOnly: the earlier part has labels of one class only.
    """
    time_us = labelled.requests.time_us
    first_us, last_us = int(time_us.min()), int(time_us.max())
    cut_us = last_us - (last_us - first_us) * _HOLDOUT_FIFTHS // 5
    holdout = time_us >= cut_us
    training = ~holdout & (labelled.known_us < cut_us)
    if not training.any():
        raise InvalidPeriod(
            f"of {len(labelled)} labelled examples none is left to learn from: their labels became known "
            "only after the holdout begins; choose an earlier --from"
        )
    require_two_classes(labelled.labels[training], "the part before the holdout")
    return Split(cut_us, training, holdout)


def require_two_classes(labels: NDArray[np.float64], part: str) -> None:
    """Refuse labels that are all alike.

    Raises:
        OneClassOnly: they are.
    """
    if labels.min() == labels.max():
        raise OneClassOnly(
            f"all {len(labels)} labels of {part} are {labels[0]:g}: there is nothing to tell apart; choose a "
            "longer period, or check the label's definition"
        )
