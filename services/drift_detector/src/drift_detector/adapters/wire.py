"""Protobuf to domain and back, for answers, outcomes and measurements."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Final

from bus.events import Event
from bus.times import format_rfc3339
from google.protobuf.message import DecodeError
from monitoring.alerts import Reading
from tidemark.monitoring.v1 import monitor_pb2 as proto
from tidemark.monitoring.v1.monitor_pb2 import Measurement, MonitorMeasured
from tidemark.scoring.v1.prediction_pb2 import (
    ROLE_CHALLENGER,
    ROLE_CHAMPION,
    ROLE_SHADOW,
    PredictionMade,
    PredictionResolved,
)

from drift_detector.domain.alerting import Told
from drift_detector.domain.facts import Answered, Resolved
from drift_detector.domain.figures import Assessment, Figure
from drift_detector.ports import UnreadableFact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bus.received import Received

    from drift_detector.domain.figures import Measured
    from drift_detector.domain.quality import Quality
    from drift_detector.domain.shares import Rules
    from drift_detector.ports import Reader

SOURCE: Final = "drift_detector"
_NAMES: Final = ("prediction_id", "model", "version")
_ASSESSMENTS: Final = {
    proto.Assessment.Value(f"ASSESSMENT_{assessment.value}"): assessment for assessment in Assessment
}
_SERVED: Final = (ROLE_CHAMPION, ROLE_CHALLENGER)


def reader(answers: str, rules: Mapping[str, Rules]) -> Reader:
    """Read what comes on the topic of answers as an answer, and anything else as an outcome."""

    def read(received: Received) -> Answered | Resolved | None:
        if received.topic == answers:
            return answered_of(received.event)
        return resolved_of(received.event, rules)

    return read


def answered_of(event: Event) -> Answered | None:
    """Read an answer; None for a shadow's.

    Raises:
        UnreadableFact: It is no PredictionMade, or lacks what counting needs.
    """
    try:
        message = PredictionMade.FromString(event.data)
    except DecodeError as error:
        raise UnreadableFact("MALFORMED_PAYLOAD", f"not a PredictionMade: {error}") from error
    _check(message)
    if not math.isfinite(message.score):
        raise UnreadableFact("NOT_A_NUMBER", f"PredictionMade.score is {message.score}")
    if message.role == ROLE_SHADOW:
        return None
    return Answered(
        identity=identity_of(message.prediction_id),
        model=message.model,
        version=message.version,
        is_champion=message.role == ROLE_CHAMPION,
        score=message.score,
        values=message.features.values,
        statuses=message.features.statuses,
        entities=dict(message.entities),
        request_us=message.request_time.ToMicroseconds(),
        known_us=event.recorded_time_us,
    )


def resolved_of(event: Event, rules: Mapping[str, Rules]) -> Resolved | None:
    """Read an outcome; None for a shadow's, and for a model that is not watched.

    Raises:
        UnreadableFact: It is no PredictionResolved, or what it says cannot be of its model's task.
    """
    try:
        message = PredictionResolved.FromString(event.data)
    except DecodeError as error:
        raise UnreadableFact("MALFORMED_PAYLOAD", f"not a PredictionResolved: {error}") from error
    _check(message)
    if message.model not in rules:
        return None
    _check_outcome(message, rules[message.model].quality)
    if message.role == ROLE_SHADOW:
        return None
    return Resolved(
        identity=identity_of(message.prediction_id),
        model=message.model,
        version=message.version,
        score=message.score,
        outcome=message.outcome,
        revision=message.outcome_revision,
        entities=dict(message.entities),
        request_us=message.request_time.ToMicroseconds(),
        known_us=event.recorded_time_us,
        segment=message.segment,
        probabilities=tuple(message.probabilities),
    )


def _check_outcome(message: PredictionResolved, quality: Quality | None) -> None:
    refusal = None if quality is None else quality.refusal(message.score, message.outcome)
    if refusal is not None:
        reason, detail = refusal
        raise UnreadableFact(reason, f"PredictionResolved {detail}")
    if message.outcome_revision < 0:
        raise UnreadableFact(
            "NEGATIVE_REVISION", f"PredictionResolved has revision {message.outcome_revision}"
        )


def identity_of(prediction_id: str) -> int:
    """Return 64 bits of an id: among a million, two are alike with a chance of 3e-8."""
    return int.from_bytes(hashlib.blake2b(prediction_id.encode(), digest_size=8).digest())


def measured_event(measured: Measured) -> Event:
    """Tell a measurement: true at the window's end, known at the boundary at which it was taken."""
    monitor, findings, window = measured.monitor, measured.findings, measured.window
    message = MonitorMeasured(
        model=monitor.model,
        monitor=monitor.name,
        kind=proto.MonitorKind.Value(f"MONITOR_KIND_{monitor.kind.value}"),
        version=measured.version,
        revision=measured.revision,
        rows=findings.rows,
        label_coverage=findings.coverage,
        assessment=_assessment(findings.assessment),
        measurements=[_measurement(figure) for figure in findings.figures],
        reason=findings.reason,
        clear=findings.clear,
        amends=measured.amends,
    )
    message.window_start.FromMicroseconds(window.start_us)
    message.window_end.FromMicroseconds(window.end_us)
    place = f"{monitor.model}:{monitor.name}:{measured.version}:{format_rfc3339(window.start_us)}"
    return Event.of(
        message,
        id=f"{place}:{measured.revision}",
        source=SOURCE,
        key=monitor.model,
        time_us=window.end_us,
        recorded_time_us=measured.decided_us,
    )


def told_of(received: Received) -> Told:
    """Read a measurement back.

    Raises:
        UnreadableFact: It is none, or its window is no window.
    """
    try:
        message = MonitorMeasured.FromString(received.event.data)
    except DecodeError as error:
        raise UnreadableFact("MALFORMED_PAYLOAD", f"not a MonitorMeasured: {error}") from error
    breached = message.assessment == proto.ASSESSMENT_BREACHED
    judged = breached or message.assessment == proto.ASSESSMENT_OK
    try:
        reading = Reading(
            message.window_start.ToMicroseconds(),
            message.window_end.ToMicroseconds(),
            breached=breached,
            clear=message.clear and message.assessment == proto.ASSESSMENT_OK,
            conclusive=judged and not message.provisional and not message.amends,
            rows=message.rows,
        )
    except ValueError as error:
        raise UnreadableFact("NOT_A_WINDOW", f"MonitorMeasured of {message.monitor!r}: {error}") from error
    return Told(
        message.model,
        message.monitor,
        message.version,
        reading,
        message.reason,
        tuple(_figure(one) for one in message.measurements),
        received.event.recorded_time_us,
    )


def _check(message: PredictionMade | PredictionResolved) -> None:
    kind = type(message).__name__
    for name in _NAMES:
        if not getattr(message, name):
            raise UnreadableFact("MISSING_FIELD", f"{kind}.{name} is empty")
    if not message.HasField("request_time"):
        raise UnreadableFact("MISSING_FIELD", f"{kind}.request_time is absent")
    if message.role not in (*_SERVED, ROLE_SHADOW):
        raise UnreadableFact("UNKNOWN_ROLE", f"{kind}.role is {message.role}")


def _assessment(assessment: Assessment) -> proto.Assessment.ValueType:
    return proto.Assessment.Value(f"ASSESSMENT_{assessment.value}")


def _measurement(figure: Figure) -> Measurement:
    return Measurement(
        subject=figure.subject,
        slice=figure.part,
        statistic=figure.statistic,
        value=figure.value,
        reference=figure.reference,
        threshold=figure.threshold,
        assessment=_assessment(figure.assessment),
        rows=figure.rows,
    )


def _figure(message: Measurement) -> Figure:
    return Figure(
        subject=message.subject,
        statistic=message.statistic,
        value=message.value if message.HasField("value") else None,
        # One from the future says nothing to us.
        assessment=_ASSESSMENTS.get(message.assessment, Assessment.INSUFFICIENT),
        rows=message.rows,
        reference=message.reference if message.HasField("reference") else None,
        threshold=message.threshold if message.HasField("threshold") else None,
        part=message.slice,
    )
