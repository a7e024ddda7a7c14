"""When a batch begins: at once where nobody else is about, else once there is nothing else to do.

A batch costs much the same whatever its size, and where many call at once most of them are not here yet: the
loop brings them in, a few each turn. A clock would make a lone request wait for nobody. What tells whether
anybody is about are the batch before, how long a turn of the loop takes that was asked for nothing, and how
much of the processor is used: where that is short, a moment's wait costs less than it saves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Company:
    """What is waited for.

    Attributes:
        enough: So many that more would gain little.
        longest_s: The longest wait, however busy the loop is.
        idle_turn_s: A turn of the loop that took less did nothing for anybody.
        short_share: The share of a processor in use above which it is short.
        hold_s: How long to wait for more, where it is, while the loop does nothing.
        nap_s: How long to let it do nothing at a time.
        window_s: How often the share is measured.
    """

    enough: int = 32
    longest_s: float = 0.008
    idle_turn_s: float = 15e-6
    short_share: float = 0.6
    hold_s: float = 0.002
    nap_s: float = 0.001
    window_s: float = 0.05


COMPANY: Final = Company()


class Gathering:
    """One batch after the other, each with whoever is about."""

    def __init__(self, company: Company = COMPANY) -> None:
        self._company = company
        self._is_crowded = False
        self._is_short = False
        self._began_s = 0.0
        self._turned_s = 0.0
        self._measured_s = 0.0
        self._used_s = 0.0

    @property
    def is_crowded(self) -> bool:
        """Whether others are about: the last batch was not one request alone, or it is time to look."""
        return self._is_crowded

    def ended(self, in_hand: int) -> None:
        """A batch has ended, with so many in it or in line."""
        self._is_crowded = in_hand > 1

    def begin(self, now_s: float) -> None:
        """The next may begin from now on."""
        self._began_s = self._turned_s = now_s

    def is_due(self, now_s: float) -> bool:
        """Whether to say how much of the processor was used."""
        return now_s - self._measured_s >= self._company.window_s

    def used(self, processor_s: float, now_s: float) -> None:
        """So many seconds of processor were used since the process began."""
        share = (processor_s - self._used_s) / (now_s - self._measured_s)
        self._is_short = share > self._company.short_share
        # Where it is short others may be about unseen, in gRPC: one wait tells.
        self._is_crowded = self._is_crowded or self._is_short
        self._used_s, self._measured_s = processor_s, now_s

    def wait_s(self, waiting: int, now_s: float) -> float | None:
        """How long to wait before asking again, 0 for a turn of the loop; None to begin."""
        company = self._company
        waited_s = now_s - self._began_s
        if not self._is_crowded or not 0 < waiting < company.enough or waited_s >= company.longest_s:
            return None
        is_busy = now_s - self._turned_s > company.idle_turn_s
        self._turned_s = now_s
        if is_busy:
            return 0.0
        return company.nap_s if self._is_short and waited_s < company.hold_s else None
