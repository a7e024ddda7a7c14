"""Whether a service is ready, and if not, why."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Check = Callable[[], str | None]
"""Gives the reason why a part is not ready, or None when it is."""


class Health:
    """Collects the checks of a service's parts; alive is whoever answers at all.

    A service that has named no check yet is still starting, and not ready.
    """

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def watch(self, name: str, check: Check) -> None:
        """Ask `check` whenever readiness is asked; it must be quick and do no IO."""
        self._checks[name] = check

    def reasons(self) -> Mapping[str, str]:
        """Say which parts are not ready, and why; empty when the service is ready."""
        if not self._checks:
            return {"service": "is still starting"}
        found = {name: check() for name, check in self._checks.items()}
        return {name: reason for name, reason in found.items() if reason is not None}

    @property
    def ready(self) -> bool:
        """Whether no part has a reason not to be."""
        return not self.reasons()
