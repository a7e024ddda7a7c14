"""Requests of models that are declared to fail where rows cannot be read, instead of taking defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from feature_store.statuses import Status

from inference.domain.errors import FeaturesUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store.vectors import Vectors

    from inference.serve.tickets import Ticket

_NAMED: Final = 3


def fail_unread(group: Sequence[Ticket], vectors: Vectors) -> None:
    """Fail each request of which a feature is DEFAULTED; the others of the batch are scored.

    Args:
        group: Requests of one model.
        vectors: Theirs, in their order.
    """
    unread = vectors.statuses == np.uint8(Status.DEFAULTED)
    names = group[0].model.contract.feature_names
    for row in np.flatnonzero(unread.any(axis=1)).tolist():
        ticket = group[row]
        if not ticket.answer.done():
            lacking = [names[at] for at in np.flatnonzero(unread[row]).tolist()]
            ticket.answer.set_exception(FeaturesUnavailable(ticket.model.name, _words(lacking)))


def _words(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
