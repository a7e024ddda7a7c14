"""What a run came to: `summary.json`, and what the report draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from examples.flights.demo import figures, loop_figures
from examples.flights.demo.options import MODEL
from examples.flights.demo.report import Story
from examples.flights.demo.rollback import LOAD
from examples.flights.demo.verify import disagreeing, fidelity
from examples.flights.features import NEW_YORK, arrivals
from examples.flights.labels import arrived_late

if TYPE_CHECKING:
    from collections.abc import Mapping

    from feature_store import EventBatch, Project
    from numpy.typing import NDArray

    from examples.flights.demo.chronicle import Chronicle
    from examples.flights.demo.journal import Journal
    from examples.flights.demo.lake import Lake
    from examples.flights.demo.options import DemoOptions

_PREDICTION = ("prediction_id", "version")


def tell(
    options: DemoOptions,
    journal: Journal,
    chronicle: Chronicle,
    project: Project,
    lake: Lake,
    wall_seconds: float,
) -> Story:
    """Computes every figure of a run from what lake and topics hold and what the demo saw from outside."""
    events = lake.all_events(project)
    records = _without_load(lake.frame("predictions_made"))
    predictions = records.unique("prediction_id", keep="first", maintain_order=True)
    once = _once(_without_load(lake.frame("predictions_resolved")))
    first, challenging = (version["version"] for version in journal.versions[:2])
    champion = _with_baseline(loop_figures.answered(once), events[arrivals.topic], options)
    challenger = loop_figures.scores_of(once, challenging)
    truth = fidelity(project.contract(MODEL), events, predictions)
    published = sum(journal.published.values())
    processed = sum(_distinct(batch) for batch in events.values())
    outcomes = _outcomes_expected(events[arrivals.topic], predictions)
    summary: dict[str, Any] = {
        "lived_from": options.live_from.isoformat(),
        "lived_to": options.live_to.isoformat(),
        "trained_from": options.learn_from.isoformat(),
        "trained_until": options.live_from.isoformat(),
        "flights_scored": journal.answers,
        "events_published": published,
        "events_processed": processed,
        "events_rejected": journal.rejected,
        "outcomes_expected": outcomes,
        "outcomes_joined": champion.height,
        "label_coverage": champion.height / max(outcomes, 1),
        "lost_events": abs(published - processed - journal.rejected)
        + (journal.answers - predictions.height)
        + loop_figures.shadow_scores_missing(chronicle, predictions, _without_load(lake.frame("shadow_made")))
        + (outcomes - champion.height),
        "duplicate_predictions": disagreeing(records),
        "repeated_records": records.height - predictions.height,
        "auc_champion": figures.auc_of(champion),
        "auc_challenger": figures.auc_of(challenger),
        "auc_champion_beside_challenger": figures.auc_of(
            loop_figures.scores_of(once, first).join(challenger, on="prediction_id", how="semi")
        ),
        "auc_baseline": figures.auc_of(champion, "baseline"),
        "vectors_compared": truth.compared,
        "skew_mismatches": truth.skew_mismatches,
        "degraded_vectors": truth.degraded,
        "freshness_gap_p99_s": truth.freshness_gap_p99_s,
        **loop_figures.consistency(lake.frame("monitors_measured")),
        "score_p50_ms": _percentile(journal.latencies_ms, 50),
        "score_p99_ms": _percentile(journal.latencies_ms, 99),
        "events_per_second": journal.lived_events / max(journal.living_seconds, 1e-9),
        "wall_seconds": wall_seconds,
        "settling_seconds": journal.settling_seconds,
        "cpu_seconds": journal.cpu_seconds,
        **loop_figures.counts(chronicle, journal),
        **loop_figures.retraining(once, journal.versions),
        "versions": journal.versions,
    }
    return Story(
        summary=summary,
        champion=champion,
        challenger=challenger,
        predictions=predictions.height,
        latency_ms=journal.latencies_ms,
        seconds=np.array(journal.seconds),
        events=np.array(journal.events),
        windows=_windows(lake.frame("variants_compared")),
        first=loop_figures.scores_of(once, first),
        traffic=_traffic(predictions),
        psi=loop_figures.psi_by_week(chronicle),
        happenings=sorted(journal.happenings, key=lambda happening: happening.time_us),
        fault=options.fault if _is_lived(options) else None,
    )


def _without_load(frame: pl.DataFrame) -> pl.DataFrame:
    """Leaves out what only made load for the rollback."""
    return frame.filter(~pl.col("prediction_id").str.starts_with(LOAD)) if frame.width else frame


def _once(resolved: pl.DataFrame) -> pl.DataFrame:
    """Delivery is at least once: keeps each (prediction, version) at its newest outcome, once."""
    return resolved.sort("outcome_revision", "_partition", "_offset").unique(
        _PREDICTION, keep="last", maintain_order=True
    )


def _distinct(batch: EventBatch) -> int:
    """Events of a source in the lake, a record read twice counted once."""
    return len(np.unique(np.rec.fromarrays([batch.partition, batch.offset]))) if len(batch) else 0


def _outcomes_expected(ends: EventBatch, predictions: pl.DataFrame) -> int:
    """How many scored flights have a label, by the label's own definition over the lake."""
    labelled = arrived_late.outcomes(ends).request_keys
    return int(predictions["request_key"].unique().is_in(list(labelled)).sum())


def _with_baseline(champion: pl.DataFrame, ends: EventBatch, options: DemoOptions) -> pl.DataFrame:
    """Adds what the base rate by local hour of schedule, learned on the training period, would have said."""
    hours, outcomes, known_us = _history(ends)
    learned = known_us < options.live_from.timestamp() * 1e6
    rates = figures.hour_of_day_rates(hours[learned], outcomes[learned])
    # The question is asked an hour before schedule.
    scheduled = pl.col("request_time").dt.offset_by("1h").dt.convert_time_zone(NEW_YORK).dt.hour()
    return champion.with_columns(
        baseline=scheduled.map_batches(
            lambda hour: pl.Series(rates[hour.to_numpy()]), return_dtype=pl.Float64
        )
    )


def _history(ends: EventBatch) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    labelled = arrived_late.outcomes(ends)
    scheduled = pl.Series(ends.columns["scheduled_departure_at"][labelled.rows]).cast(
        pl.Datetime("us", "UTC")
    )
    hours = scheduled.dt.convert_time_zone(NEW_YORK).dt.hour().to_numpy().astype(np.int64)
    return hours, labelled.values, ends.recorded_time_us[labelled.rows]


def _traffic(predictions: pl.DataFrame) -> pl.DataFrame:
    """The share of each version in a day's answers."""
    daily = predictions.group_by(pl.col("request_time").dt.date().alias("day"), "version").len()
    return daily.with_columns(share=pl.col("len") / pl.col("len").sum().over("day")).sort("day")


def _is_lived(options: DemoOptions) -> bool:
    fault = options.fault
    return fault is not None and fault.from_ < options.live_to and fault.to > options.live_from


def _windows(compared: pl.DataFrame) -> pl.DataFrame:
    """The last word on each window of each pair."""
    if not compared.width:
        return compared
    pair = ["window_start", "champion__version", "challenger__version"]
    return compared.sort("revision").unique(pair, keep="last").sort(pair)


def _percentile(values: NDArray[np.float64], percent: float) -> float:
    return float(np.percentile(values, percent)) if len(values) else 0.0


def frozen(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that must not depend on speed, crashes, partitions or process counts."""
    moving = {
        "score_p50_ms",
        "score_p99_ms",
        "events_per_second",
        "wall_seconds",
        "settling_seconds",
        "cpu_seconds",
        "rollback_ms",
        "requests_per_second_during_rollback",
        "repeated_records",
    }
    return {name: value for name, value in summary.items() if name not in moving}
