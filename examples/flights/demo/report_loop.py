"""The report's plots of the loop: drift, what retraining was worth, who answered, and what happened when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from matplotlib.colors import LogNorm
from matplotlib.ticker import PercentFormatter

from examples.flights.demo import figures
from examples.flights.demo.telling import ALERT, APPROVAL, FAULT, PERSON, RELEASE, RETRAIN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from examples.flights.demo.report import Story

WITH, WITHOUT, BAD, CALM, INK = "#0b6e99", "#9b9a97", "#c4314b", "#0f7b6c", "#37352f"
_VERSIONS: Final = ("#0b6e99", "#0f7b6c", "#c4314b", "#d9730d", "#6940a5", "#9b9a97")
_LANES: Final = (FAULT, RELEASE, APPROVAL, PERSON, RETRAIN, ALERT)
_FEATURES: Final = 24
_PSI_SHOWN: Final = (0.01, 10.0)


def psi_by_week(axes: Axes, story: Story) -> None:
    """A cell a feature and week; a dot where the monitor's threshold was passed."""
    if not story.psi.height:
        return
    loudest = story.psi.group_by("feature").agg(pl.col("psi").max()).sort("psi")["feature"].to_list()
    features, weeks = loudest[-_FEATURES:], story.psi["week"].unique().sort().to_list()
    grid = np.full((len(features), len(weeks)), np.nan)
    for row in story.psi.iter_rows(named=True):
        if row["feature"] in features:
            place = features.index(row["feature"]), weeks.index(row["week"])
            grid[place] = max(row["psi"], _PSI_SHOWN[0])
            if row["threshold"] is not None and row["psi"] > row["threshold"]:
                axes.plot(place[1], place[0], marker=".", color=INK, markersize=3)
    image = axes.imshow(grid, aspect="auto", cmap="YlOrRd", norm=LogNorm(*_PSI_SHOWN), interpolation="none")
    axes.set_yticks(range(len(features)), features, fontsize=6)
    axes.set_xticks(range(len(weeks)), [f"{week:%d %b}" for week in weeks], rotation=60, fontsize=6)
    axes.grid(visible=False)
    axes.figure.colorbar(image, ax=axes, label="PSI", shrink=0.7)


def auc_with_and_without(axes: Axes, story: Story) -> None:
    """What was answered, and what the first champion would have answered."""
    for label, frame, colour in (
        ("as it was answered", story.champion, WITH),
        ("the first champion, never retrained", story.first, WITHOUT),
    ):
        weekly = figures.auc_by_week(frame)
        axes.plot(
            weekly["week"].to_list(), weekly["auc"].to_list(), "o-", markersize=3, color=colour, label=label
        )
    axes.set_ylabel("ROC AUC")
    axes.tick_params(axis="x", rotation=30)
    axes.legend(frameon=False)


def traffic(axes: Axes, story: Story) -> None:
    """The share of each version in a day's answers."""
    daily = story.traffic.pivot("version", index="day", values="share").fill_null(0.0).sort("day")
    names = [name for name in daily.columns if name != "day"]
    axes.stackplot(
        daily["day"].to_list(), *(daily[name].to_numpy() for name in names), labels=names, colors=_VERSIONS
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(0, 1)
    axes.tick_params(axis="x", rotation=30)
    axes.legend(frameon=True, fontsize=7, loc="lower left")


def timeline(axes: Axes, story: Story) -> None:
    """A mark for each happening, in the lane of its kind."""
    for happening in story.happenings:
        moment = np.datetime64(happening.time_us, "us")
        colour = BAD if happening.is_bad else CALM
        axes.plot([moment], [_LANES.index(happening.kind)], "o", color=colour, markersize=5, alpha=0.8)
    if story.fault is not None:
        band = np.array([story.fault.from_us, story.fault.to_us]).astype("datetime64[us]")
        axes.fill_between(band, -1, len(_LANES), color=BAD, alpha=0.15, linewidth=0)
    axes.set_yticks(range(len(_LANES)), _LANES)
    axes.set_ylim(-0.6, len(_LANES) - 0.4)
    axes.tick_params(axis="x", rotation=30)
