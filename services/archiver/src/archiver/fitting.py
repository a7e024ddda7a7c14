"""Which tables can be kept: one that does not fit its topic any more stops itself and no other."""

import logging
from collections.abc import Iterable
from typing import Final

from archiver.domain.tables import SchemaError
from archiver.keeping import Keeper
from archiver.metrics import Metrics
from archiver.ports import Lake

_LOG: Final = logging.getLogger(__name__)


def fitting(lake: Lake, keepers: Iterable[Keeper], metrics: Metrics) -> list[Keeper]:
    """Prepare the keepers' tables and return those keepers whose table takes their rows.

    The topic of another is not read, so nothing of it is passed over: its table's positions stay where they
    are, and it is read on from there once table and topic agree again.

    Raises:
        SchemaError: none fits.
        LakeUnavailable: the lake cannot be reached.
    """
    fit = [keeper for keeper in keepers if _fits(lake, keeper, metrics)]
    if not fit:
        raise SchemaError("no table of the lake fits its topic: is LAKE_URI another platform's lake?")
    return fit


def _fits(lake: Lake, keeper: Keeper, metrics: Metrics) -> bool:
    path = keeper.table.path
    try:
        lake.prepare(keeper.table)
    except SchemaError as error:
        _LOG.error("%s is stopped, the other tables go on: %s", path, error)
        metrics.stopped.labels(path).set(1)
        return False
    metrics.stopped.labels(path).set(0)
    return True
