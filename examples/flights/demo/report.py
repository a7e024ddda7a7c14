"""Draws `report.html`: one self-contained file, every plot an inline SVG."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, FileSystemLoader, select_autoescape
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from examples.flights.demo import figures, report_loop
from examples.flights.demo.display import day

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from examples.flights.demo.telling import Happening
    from examples.flights.fault import Fault

    Draw = Callable[[Axes, "Story"], None]

CHAMPION, CHALLENGER, BASELINE, INK, GRID = "#0b6e99", "#d9730d", "#9b9a97", "#37352f", "#e9e9e7"
MATURITY_HOURS = 36


@dataclass(frozen=True, slots=True)
class Story:
    """What the report draws.

    Attributes:
        summary: What `summary.json` holds.
        champion: Resolved rows of the served version, with the baseline's score in `baseline`.
        challenger: Resolved rows of the shadow.
        predictions: How many requests were answered.
        latency_ms: Of every Score call, as its caller saw it.
        seconds: Wall seconds since the start at which `events` events had been published.
        events: Cumulative, as long as `seconds`.
        windows: The comparator's last word on each window: `window_start, verdict, reason` and its figures.
        first: Resolved rows of the first champion, answered or in the shadow.
        traffic: `day, version, share` of the answers.
        psi: `week, feature, psi, threshold`, as measured.
        happenings: What happened, by event time.
        fault: What was broken on purpose.
    """

    summary: Mapping[str, Any]
    champion: pl.DataFrame
    challenger: pl.DataFrame
    predictions: int
    latency_ms: NDArray[np.float64]
    seconds: NDArray[np.float64]
    events: NDArray[np.float64]
    windows: pl.DataFrame
    first: pl.DataFrame
    traffic: pl.DataFrame
    psi: pl.DataFrame
    happenings: Sequence[Happening]
    fault: Fault | None


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot as the page shows it.

    Attributes:
        caption: One sentence for whoever sees such a plot for the first time.
        is_wide: Whether it takes the page's width.
    """

    title: str
    caption: str
    svg: str
    is_wide: bool = False


def write_report(story: Story, path: Path) -> None:
    """Writes the report; it needs no network and no other file to be read."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["html", "j2"])
    )
    page = templates.get_template("report.html.j2").render(
        summary=story.summary,
        plots=plots(story),
        windows=story.windows.to_dicts(),
        happenings=[(day(one.time_us), one) for one in story.happenings],
    )
    path.write_text(page, encoding="utf-8")


def plots(story: Story) -> list[Plot]:
    """Every plot, in the order of the page."""
    return [
        Plot(title, " ".join(_CAPTIONS[title].split()), _svg(draw, story, size), is_wide=size is _WIDE)
        for title, draw, size in _DRAWINGS
    ]


def _svg(draw: Draw, story: Story, size: tuple[float, float]) -> str:
    with mpl.rc_context(
        {"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "text.color": INK}
    ):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        draw(axes, story)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return text.getvalue().split("<svg", 1)[1].join(["<svg", ""])


def _auc_by_week(axes: Axes, story: Story) -> None:
    for label, frame, score, colour in (
        ("as it was answered", story.champion, "score", CHAMPION),
        ("challenger (shadow)", story.challenger, "score", CHALLENGER),
        ("hour-of-day base rate", story.champion, "baseline", BASELINE),
    ):
        weekly = figures.auc_by_week(frame, score)
        axes.plot(
            weekly["week"].to_list(),
            weekly["auc"].to_list(),
            marker="o",
            markersize=3,
            color=colour,
            label=label,
        )
    axes.set_ylabel("ROC AUC")
    axes.tick_params(axis="x", rotation=30)
    axes.legend(frameon=False)


def _scores(axes: Axes, story: Story) -> None:
    bins = np.linspace(0, 1, 41)
    axes.hist(
        story.champion["score"].to_numpy(), bins=list(bins), color=CHAMPION, alpha=0.75, label="champion"
    )
    axes.hist(
        story.challenger["score"].to_numpy(),
        bins=list(bins),
        histtype="step",
        color=CHALLENGER,
        label="challenger",
    )
    axes.set_xlabel("score: probability of a late arrival")
    axes.set_ylabel("flights")
    axes.legend(frameon=False)


def _calibration(axes: Axes, story: Story) -> None:
    axes.plot([0, 1], [0, 1], color=BASELINE, linewidth=1, linestyle="--", label="perfect")
    for label, frame, colour in (
        ("champion", story.champion, CHAMPION),
        ("challenger", story.challenger, CHALLENGER),
    ):
        if frame.height:
            curve = figures.calibration(frame)
            axes.plot(curve.x, curve.y, marker="o", markersize=3, color=colour, label=label)
    axes.set_xlabel("mean score")
    axes.set_ylabel("share that was late")
    axes.legend(frameon=False)


def _maturity(axes: Axes, story: Story) -> None:
    curve = figures.label_maturity(story.champion, story.predictions)
    axes.plot(curve.x, curve.y, color=CHAMPION)
    axes.set_xlim(0, MATURITY_HOURS)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("hours since the request (event time)")
    axes.set_ylabel("predictions with a label")


def _latency(axes: Axes, story: Story) -> None:
    latency = story.latency_ms
    if not len(latency):
        return
    bins = np.geomspace(max(latency.min(), 0.05), latency.max() + 1e-3, 60)
    axes.hist(latency, bins=list(bins), color=CHAMPION, alpha=0.75)
    for quantile, style in ((50, "-"), (99, "--")):
        value = float(np.percentile(latency, quantile))
        axes.axvline(value, color=INK, linestyle=style, linewidth=1, label=f"p{quantile} {value:.2f} ms")
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds")
    axes.set_ylabel("requests")
    axes.legend(frameon=False)


def _rate(axes: Axes, story: Story) -> None:
    if len(story.seconds) > 1:
        edges = np.arange(0, story.seconds[-1] + 1, max(1.0, story.seconds[-1] / 150))
        published = np.interp(edges, story.seconds, story.events)
        axes.plot(edges[1:], np.diff(published) / np.diff(edges), color=CHAMPION, linewidth=1)
    axes.set_yscale("symlog", linthresh=100)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("wall seconds since the start")
    axes.set_ylabel("events a second")


_NORMAL, _WIDE = (5.6, 3.1), (11.4, 4.2)
_CAPTIONS: Final = {
    "What happened when": """Each mark is something that happened, red where somebody should look; the band
        is the fault put in on purpose. The table below has the words.""",
    "How far each feature moved": """PSI compares a week's values with those that the serving version learned
        from: under 0.1 is calm, and a dot marks what passed the monitor's threshold.""",
    "What retraining was worth": """ROC AUC is the chance that a late flight was scored above a punctual one:
        0.5 is a coin. The grey line is the first champion, which went on scoring in the shadow.""",
    "Who answered": """Each version's share of a day's answers: a canary begins with one in a hundred.""",
    "ROC AUC by week": """What was answered, the challenger in its shadow while it was there, and what the
        hour of day alone would have said.""",
    "Scores given": """How many flights got which score.""",
    "Calibration": """Of flights scored 30 %, 30 % should be late: on the dashed line scores mean what they
        say.""",
    "Label maturity": """How long after the question the truth is known: until then nobody can say how good a
        score was.""",
    "Latency of Score, as its caller saw it": """How long callers waited for an answer, on a machine that runs
        everything else as well.""",
    "Events published a second": """How fast event time went by.""",
}
_DRAWINGS: Final[tuple[tuple[str, Draw, tuple[float, float]], ...]] = (
    ("What happened when", report_loop.timeline, _WIDE),
    ("How far each feature moved", report_loop.psi_by_week, _WIDE),
    ("What retraining was worth", report_loop.auc_with_and_without, _NORMAL),
    ("Who answered", report_loop.traffic, _NORMAL),
    ("ROC AUC by week", _auc_by_week, _NORMAL),
    ("Scores given", _scores, _NORMAL),
    ("Calibration", _calibration, _NORMAL),
    ("Label maturity", _maturity, _NORMAL),
    ("Latency of Score, as its caller saw it", _latency, _NORMAL),
    ("Events published a second", _rate, _NORMAL),
)
