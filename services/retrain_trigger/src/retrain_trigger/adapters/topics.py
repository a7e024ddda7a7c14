"""Which topics the trigger reads and writes; tests use their own."""

from __future__ import annotations

from dataclasses import dataclass

from bus import topics as catalogue


@dataclass(frozen=True, slots=True)
class Topics:
    """Names; the inputs have as many partitions as the table, 1."""

    measured: str = catalogue.MONITORS_MEASURED.name
    registered: str = catalogue.MODELS_REGISTERED.name
    routes: str = catalogue.ROUTES_CHANGED.name
    decided: str = catalogue.APPROVALS_DECIDED.name
    requested: str = catalogue.RETRAIN_REQUESTED.name
    approved: str = catalogue.RETRAIN_APPROVED.name
    refused: str = catalogue.RETRAIN_REFUSED.name
    alerts: str = catalogue.ALERTS_CHANGED.name
    progressed: str = catalogue.PROGRESSED.name

    @property
    def inputs(self) -> tuple[str, ...]:
        """What is read."""
        return self.measured, self.registered, self.routes, self.decided
