"""When to stop asking a store that does not answer."""

from __future__ import annotations


class Breaker:
    """Opens after so many failures in a row, and closes when something succeeds again.

    While it is open nobody should wait for the store: one request's deadline spent is knowledge for all.
    """

    def __init__(self, failures_to_open: int = 3) -> None:
        self._failures_to_open = failures_to_open
        self._failures = 0

    @property
    def is_open(self) -> bool:
        """Whether to answer without asking."""
        return self._failures >= self._failures_to_open

    def succeeded(self) -> None:
        """The store answered."""
        self._failures = 0

    def failed(self) -> None:
        """The store did not answer in time."""
        self._failures += 1
