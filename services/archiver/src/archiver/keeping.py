"""What is kept of each topic: how its records become rows, and why some do not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
from bus.received import Received, Rejection

from archiver.domain.tables import LakeTable


@dataclass(frozen=True, slots=True)
class Kept:
    """Records as rows.

    Attributes:
        rows: In the table's schema and the records' order.
        rejections: Records that this service refuses, for their dead-letter twin.
        left_out: How many records another service refuses, by reason: they are counted here, and no more.
    """

    rows: pa.Table
    rejections: Sequence[Rejection] = ()
    left_out: Mapping[str, int] = field(default_factory=Counter)


class Keeper(Protocol):
    """Turns a topic's records into the rows of its table."""

    @property
    def table(self) -> LakeTable:
        """Where the rows go."""

    def keep(self, records: Sequence[Received]) -> Kept:
        """Pure: the same records give the same rows, in order; it never raises for a record."""
