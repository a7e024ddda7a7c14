"""What is kept of each topic: how its records become rows, and why some do not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import pyarrow as pa
from bus.received import Received, Rejection

from archiver.domain.tables import LakeTable

ERASED: Final = "ERASED"
"""Why a record is left out that is of an erased subject, and was recorded before the erasure."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Records as rows.

    Attributes:
        rows: In the table's schema and the records' order.
        rejections: Records that this service refuses, for their dead-letter twin.
        left_out: How many records are not kept, by reason: counted here, and no more. Another service refuses
            them, or their subject was erased.
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
