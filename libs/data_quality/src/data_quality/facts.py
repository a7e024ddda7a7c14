"""A judged day as a measurement, so that alerts begin and end as for any monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bus.events import Event
from monitoring.source_quality import SOURCE_QUALITY
from tidemark.monitoring.v1 import monitor_pb2 as proto

from data_quality.findings import Verdict

if TYPE_CHECKING:
    from data_quality.findings import Finding, SourceDay, Trend

_SOURCE: Final = "data_quality"
_ASSESSMENTS: Final = {
    Verdict.PASSED: proto.ASSESSMENT_OK,
    Verdict.FAILED: proto.ASSESSMENT_BREACHED,
    Verdict.INSUFFICIENT: proto.ASSESSMENT_INSUFFICIENT,
}


def measured_event(judged: SourceDay) -> Event:
    """Tell a closed day. Its source's topic stands where a model's name does.

    The same day told again, under the same expectations, is the same event: what was recorded later than
    `Day.known_by_us` changes no figure.
    """
    day = judged.day
    ordered = sorted(judged.findings, key=lambda one: one.verdict is not Verdict.FAILED)
    message = proto.MonitorMeasured(
        model=judged.topic,
        monitor=SOURCE_QUALITY,
        kind=proto.MONITOR_KIND_DATA_QUALITY,
        version=judged.definition,
        rows=judged.rows,
        assessment=_ASSESSMENTS[judged.verdict],
        measurements=[_measurement(one, judged.trends.get(one.name)) for one in ordered],
        reason=reason(judged),
        clear=judged.verdict is Verdict.PASSED,
    )
    message.window_start.FromMicroseconds(day.start_us)
    message.window_end.FromMicroseconds(day.end_us)
    return Event.of(
        message,
        id=f"{judged.topic}:{SOURCE_QUALITY}:{judged.definition}:{day.start_us}:0",
        source=_SOURCE,
        key=judged.topic,
        time_us=day.end_us,
        recorded_time_us=day.known_by_us,
    )


def reason(judged: SourceDay) -> str:
    """Say in a sentence how the day was."""
    if not judged.failed:
        return f"Every expectation of {judged.day} held, over {judged.rows:,} rows."
    told = "; ".join(said(one) for one in judged.failed)
    return f"{judged.day}, {judged.rows:,} rows: {told}."


def said(finding: Finding) -> str:
    """Say what was expected and what was found, such as "null_rate of x is 1, expected at most 5.00%"."""
    about = f"{finding.statistic} of {finding.subject}" if finding.subject else finding.statistic
    value = "unknown" if finding.value is None else f"{finding.value:.6g}"
    detail = f" ({finding.detail})" if finding.detail else ""
    return f"{about} is {value}, expected {finding.bound}{detail}"


def _measurement(finding: Finding, trend: Trend | None) -> proto.Measurement:
    return proto.Measurement(
        subject=finding.subject,
        statistic=finding.statistic,
        value=finding.value,
        reference=None if trend is None else trend.median,
        threshold=finding.threshold,
        assessment=_ASSESSMENTS[finding.verdict],
        rows=finding.rows,
    )
