"""The alert stage: measurements read back, one state an alert.

Only whoever has a model's partition of the measurements changes the states of its alerts. It takes them from
what was told, read to the end before each batch: so a batch that is read again, or by somebody else, finds
them where they are and changes nothing twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.received import Rejection

from drift_detector.domain.alerting import fingerprint_of, notices_of
from drift_detector.ports import UnreadableFact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bus.received import Received
    from monitoring.monitors import Monitor

    from drift_detector.domain.alerting import Told
    from drift_detector.metrics import Metrics
    from drift_detector.ports import Alerts, MeasurementReader


class Alerting:
    """The consumer's handler.

    Args:
        read: From an event to a measurement.
        monitors: All that are declared.
        owners: Of the models, by name.
    """

    def __init__(
        self,
        *,
        read: MeasurementReader,
        monitors: Iterable[Monitor],
        owners: Mapping[str, str],
        alerts: Alerts,
        metrics: Metrics,
    ) -> None:
        self._read = read
        self._monitors = {fingerprint_of(one.model, one.name): one for one in monitors}
        self._owners = owners
        self._alerts = alerts
        self._metrics = metrics

    async def on_measured(self, batch: Sequence[Received]) -> Sequence[Rejection]:
        """Take a batch of measurements into account; what is none is refused."""
        told: list[Told] = []
        rejections: list[Rejection] = []
        for received in batch:
            try:
                told.append(self._read(received))
            except UnreadableFact as wrong:
                rejections.append(Rejection(received, wrong.reason, wrong.detail))
        notices = notices_of(told, await self._alerts.current(), self._monitors, self._owners)
        if notices:
            await self._alerts.tell(notices)
            self._metrics.alerted(notices)
        return rejections
