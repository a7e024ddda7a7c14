"""How a version behaves when it is run: how long it takes, and whether it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from inference.domain.errors import VersionFailing

_WEIGHT: Final = 0.2


@dataclass(frozen=True, slots=True)
class Patience:
    """What is borne of a version.

    Attributes:
        slow_run_s: A version whose runs take longer is run apart from the others.
        failures: So many runs in a row without any score, and it is not run for a while.
        pause_s: How long it is not run then; twice as long after each try in vain.
        longest_pause_s: But no longer than this.
    """

    slow_run_s: float = 0.01
    failures: int = 10
    pause_s: float = 1.0
    longest_pause_s: float = 30.0


class Conduct:
    """What is known of one version, by its runs here. For one caller at a time.

    Attributes:
        pause_s: How long it is not run between tries; 0 while it is well, and `check` has nothing to say.

    Args:
        name: The version, for messages.
        run_s: How long a run took when it was warmed, so that a slow one never runs among the others.
    """

    def __init__(self, name: str, run_s: float = 0.0) -> None:
        self.name = name
        self._run_s = run_s
        self._failures = 0
        self.pause_s = 0.0
        self._paused_until_s = 0.0
        self._is_trying = False

    @property
    def run_s(self) -> float:
        """How long a run takes: an average that forgets, a fifth with each run."""
        return self._run_s

    def is_slow(self, patience: Patience) -> bool:
        """Whether its runs take longer than is borne."""
        return self._run_s > patience.slow_run_s

    def is_quick_again(self, patience: Patience) -> bool:
        """Whether a slow one has become quick by a margin: none goes to and fro."""
        return self._run_s < patience.slow_run_s / 2

    def check(self, now_s: float) -> None:
        """Refuse a request while the version is not run.

        When the pause is over one request is let through to try; the pause begins anew with it, so that the
        others wait for what becomes of it.

        Raises:
            VersionFailing: It has failed too often in a row.
        """
        if not self.pause_s:
            return
        if now_s < self._paused_until_s:
            raise VersionFailing(self.name, self._failures, self._paused_until_s - now_s)
        self._paused_until_s = now_s + self.pause_s
        self._is_trying = True

    def ran(self, took_s: float, *, has_scored: bool, now_s: float, patience: Patience) -> None:
        """Learn from a run: how long it took, and whether any of its vectors got a score."""
        self._run_s += _WEIGHT * (took_s - self._run_s)
        if has_scored:
            if self._failures:
                self._failures, self.pause_s, self._is_trying = 0, 0.0, False
            return
        self._failures += 1
        # What was under way when the pause began fails too, and says nothing new.
        if self._is_trying or (not self.pause_s and self._failures >= patience.failures):
            self._is_trying = False
            self.pause_s = min(max(patience.pause_s, 2 * self.pause_s), patience.longest_pause_s)
            self._paused_until_s = now_s + self.pause_s
