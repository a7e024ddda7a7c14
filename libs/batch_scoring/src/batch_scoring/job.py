"""What a job is: everything that decides which bytes it writes, under one hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from model_package import canonical_json
from training_sets import TableVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT_VERSION: Final = 1
_MADE_BY: Final = "tidemark score-batch"
_ID_DIGITS: Final = 32
_ROW_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Job:
    """Some rows, a version and a way to read features.

    Attributes:
        asked: What was asked, as JSON: two jobs are the same where, and only where, it is.
        lake: By topic, what the lake held when the job began; empty where features are given. It is no part
            of `asked`: who resumes a job sees what it saw.
    """

    asked: Mapping[str, Any]
    lake: Mapping[str, TableVersion]

    @property
    def id(self) -> str:
        """SHA-256 of what was asked, its first 32 hex digits."""
        return hashlib.sha256(canonical_json(self.asked)).hexdigest()[:_ID_DIGITS]

    def to_json(self) -> str:
        """As it stands in the output."""
        lake = {topic: table.to_json() for topic, table in sorted(self.lake.items())}
        document = {"made_by": _MADE_BY, "format": FORMAT_VERSION, "asked": dict(self.asked), "lake": lake}
        return canonical_json(document).decode()

    @classmethod
    def of_json(cls, text: str | None) -> Self | None:
        """Read what `to_json` wrote; None where somebody else wrote something else."""
        try:
            told = json.loads(text or "")
            if told["made_by"] != _MADE_BY or told["format"] != FORMAT_VERSION:
                return None
            lake = {topic: TableVersion.of_json(one) for topic, one in told["lake"].items()}
        except (ValueError, KeyError, TypeError):
            return None
        return cls(told["asked"], lake)

    def differences(self, other: Self) -> list[str]:
        """Say what was asked otherwise, one thing a sentence."""
        names = [name for name in self.asked if self.asked[name] != other.asked.get(name)]
        names += [name for name in other.asked if name not in self.asked]
        return [
            f"{name} {_short(other.asked.get(name))}, not {_short(self.asked.get(name))}" for name in names
        ]


def prediction_ids(job_id: str, first: int, rows: int) -> pa.Array:
    """Return the ids of consecutive rows: `<job>-<row number, twelve digits>`; the same for ever.

    Args:
        job_id: `Job.id`.
        first: The number of the first row.
        rows: How many.
    """
    numbers = pc.utf8_lpad(
        pa.array(np.arange(first, first + rows)).cast(pa.string()), width=_ROW_DIGITS, padding="0"
    )
    return pc.binary_join_element_wise(pa.scalar(job_id), numbers, "-")


def _short(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
