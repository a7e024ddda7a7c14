"""The report as one page of HTML that needs nothing else: its plots are a few lines of SVG."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, select_autoescape

from data_quality.documents import figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from data_quality.findings import Finding, SourceDay, Trend

_WIDTH, _HEIGHT, _MARGIN = 260.0, 44.0, 4.0
_LEAST_SPREAD: Final = 1e-12


def page(judged: Sequence[SourceDay]) -> str:
    """Return the page: each source's days, with every figure beside its bound and the days before it."""
    template = files("data_quality").joinpath("page.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=select_autoescape(default_for_string=True))
    days = sorted({one.day for one in judged})
    period = str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return environment.from_string(template).render(
        judged=judged,
        period=period,
        plot=_plot,
        figure=figure,
        failed=sum(bool(one.failed) for one in judged),
    )


def _plot(judged: SourceDay, finding: Finding) -> dict[str, Any] | None:
    """Return where a plot's points and its threshold lie; None where there is nothing to draw."""
    trend = judged.trends.get(finding.name)
    if trend is None:
        return None
    values = [*trend.values, *([] if finding.value is None else [(judged.day, finding.value)])]
    heights = _heights(values, finding, trend)
    first, last = values[0][0].number, max(judged.day.number, values[0][0].number + 1)
    across = [_MARGIN + (day.number - first) / (last - first) * (_WIDTH - 2 * _MARGIN) for day, _ in values]
    points = [(x, heights[value]) for x, (_, value) in zip(across, values, strict=True)]
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "line": " ".join(f"{x:.1f},{y:.1f}" for x, y in points),
        "last": points[-1],
        "threshold": None if finding.threshold is None else heights[finding.threshold],
    }


def _heights(values: list[tuple[Any, float]], finding: Finding, trend: Trend) -> dict[float, float]:
    drawn = [value for _, value in values] + [trend.median]
    drawn += [] if finding.threshold is None else [float(finding.threshold)]
    low, high = min(drawn), max(drawn)
    spread = max(high - low, _LEAST_SPREAD)
    return {one: _HEIGHT - _MARGIN - (one - low) / spread * (_HEIGHT - 2 * _MARGIN) for one in drawn}
