"""Judged days as plain values, for JSON and for tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_quality.findings import Example, Finding, SourceDay, Trend


def document(judged: SourceDay) -> dict[str, Any]:
    """Return a judged day as JSON has it."""
    refusals = judged.refusals
    return {
        "source": judged.topic,
        "owner": judged.owner,
        "day": str(judged.day),
        "closed": judged.is_closed,
        "verdict": judged.verdict.value,
        "rows": judged.rows,
        "expectations": [_finding(one, judged.trends.get(one.name)) for one in judged.findings],
        "refused": None
        if refusals is None
        else [
            {"reason": one.reason, "count": one.count, "examples": [*map(_example, one.examples)]}
            for one in refusals
        ],
        "definition": judged.definition,
    }


def figure(value: float | None) -> str:
    """Return a figure for people."""
    return "-" if value is None else f"{value:,.6g}"


def _finding(finding: Finding, trend: Trend | None) -> dict[str, Any]:
    return {
        "statistic": finding.statistic,
        "subject": finding.subject,
        "observed": finding.value,
        "expected": finding.bound,
        "threshold": finding.threshold,
        "verdict": finding.verdict.value,
        "rows": finding.rows,
        "failed_rows": finding.failed,
        "detail": finding.detail,
        "examples": [*map(_example, finding.examples)],
        "trend": None
        if trend is None
        else {
            "days": len(trend.values),
            "median": trend.median,
            "mad": trend.mad,
            "deviations": trend.deviations,
        },
    }


def _example(example: Example) -> dict[str, Any]:
    return {"partition": example.partition, "offset": example.offset, "told": example.told}
