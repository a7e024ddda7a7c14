"""The monitor of a source's days: what its alerts are driven by. It is declared with the source, not here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from monitoring.monitors import Monitor, MonitorKind

if TYPE_CHECKING:
    from monitoring.declarations import Checker

SOURCE_QUALITY: Final = "source-quality"


@dataclass(frozen=True, kw_only=True)
class SourceQuality(Monitor):
    """Do a source's events of a day hold what the source expects of them?

    `model` is the source's topic: with its dots it can be no model's name, so the two are not mixed up.
    """

    name: str = SOURCE_QUALITY

    kind: ClassVar[MonitorKind] = MonitorKind.DATA_QUALITY

    def __post_init__(self) -> None:
        """Its topic and its owner were checked with the source."""

    def _check_own(self, check: Checker) -> None:
        """Check nothing: see `__post_init__`."""
