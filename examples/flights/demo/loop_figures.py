"""What the loop came to: counts of what the platform said, and what retraining was worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from bus import topics
from tidemark.monitoring.v1.alert_pb2 import AlertChanged, AlertState
from tidemark.monitoring.v1.monitor_pb2 import MonitorKind, MonitorMeasured
from tidemark.registry.v1.rollout_pb2 import RolloutChanged, RolloutState
from tidemark.registry.v1.route_pb2 import RouteChanged
from tidemark.retraining.v1.retrain_pb2 import (
    RetrainApproved,
    RetrainRefusal,
    RetrainRefused,
    RetrainRequested,
)

from examples.flights.demo import figures

if TYPE_CHECKING:
    from examples.flights.demo.chronicle import Chronicle
    from examples.flights.demo.journal import Journal

_ANSWERED = ("CHAMPION", "CHALLENGER")
_RATES = ("mismatch_rate", "missing_rate", "extra_rate")


def counts(chronicle: Chronicle, journal: Journal) -> dict[str, Any]:
    """How often what happened, and how going back went."""
    alerts = chronicle.messages(topics.ALERTS_CHANGED, AlertChanged)
    fired = {(said.fingerprint, said.episode) for said in alerts if said.HasField("firing_since")}
    over = {
        (said.fingerprint, said.episode) for said in alerts if said.state == AlertState.ALERT_STATE_RESOLVED
    }
    refused = chronicle.messages(topics.RETRAIN_REFUSED, RetrainRefused)
    vetoed = [said for said in refused if said.refusal == RetrainRefusal.RETRAIN_REFUSAL_VETOED]
    rollback = journal.rollback
    return {
        "alerts_fired": len(fired),
        "alerts_resolved": len(fired & over),
        "retrain_requests": len(chronicle.messages(topics.RETRAIN_REQUESTED, RetrainRequested)),
        "retrain_vetoes": len(vetoed),
        "retrain_approvals": len(chronicle.messages(topics.RETRAIN_APPROVED, RetrainApproved)),
        "promotions": _rollouts_in(chronicle, RolloutState.ROLLOUT_STATE_GUARD),
        "aborts": _rollouts_in(chronicle, RolloutState.ROLLOUT_STATE_ABORTED),
        "gate_refusals": journal.gate_refusals,
        "rollback_ms": None if rollback is None else rollback.milliseconds,
        "rollback_replicas": 0 if rollback is None else rollback.replicas,
        "failed_requests_during_rollback": None if rollback is None else rollback.failed,
        "requests_per_second_during_rollback": None if rollback is None else rollback.requests_per_second,
        "audit_verified": journal.audit_verified,
    }


def answered(once: pl.DataFrame) -> pl.DataFrame:
    """Of the resolved rows those whose score was returned to the caller, whichever version gave it."""
    return once.filter(pl.col("role").is_in(_ANSWERED))


def scores_of(once: pl.DataFrame, version: str | None) -> pl.DataFrame:
    """One version's scores with their outcomes, answered or in the shadow."""
    return once.filter(pl.col("version") == (version or ""))


def retraining(once: pl.DataFrame, versions: list[dict[str, Any]]) -> dict[str, float | None]:
    """What retraining was worth: the same requests, scored by the new champion and by the old one."""
    first, new = (_version(versions, role) for role in ("champion", "retrained"))
    served = scores_of(once, new).filter(pl.col("role") == "CHAMPION")
    without = scores_of(once, first).join(served, on="prediction_id", how="semi")
    both = served.join(without, on="prediction_id", how="semi")
    return {
        "auc_after_retrain": figures.auc_of(both) if both.height else None,
        "auc_champion_without_retrain": figures.auc_of(without) if without.height else None,
        "flights_after_retrain": both.height,
    }


def shadow_scores_missing(chronicle: Chronicle, predictions: pl.DataFrame, shadows: pl.DataFrame) -> int:
    """How many scores of shadows are not there: every shadow of a prediction's route, but its own version."""
    rows = [
        {"route_revision": said.revision, "shadow": shadow.version}
        for said in chronicle.messages(topics.ROUTES_CHANGED, RouteChanged)
        for shadow in said.shadows
    ]
    routes = pl.DataFrame(rows, schema={"route_revision": pl.Int64, "shadow": pl.String}).unique()
    asked = predictions.select("prediction_id", "version", pl.col("route_revision").cast(pl.Int64)).unique()
    expected = asked.join(routes, on="route_revision").filter(pl.col("version") != pl.col("shadow"))
    if not shadows.width:
        return expected.height
    made = shadows.select("prediction_id", shadow="version").unique()
    return expected.join(made, on=["prediction_id", "shadow"], how="anti").height


def psi_by_week(chronicle: Chronicle) -> pl.DataFrame:
    """What drift monitors measured: `week` (its first day), `feature`, `psi`, and the `threshold` it met."""
    rows = [
        {
            "week": said.window_start.ToDatetime().date(),
            "feature": one.subject,
            "psi": one.value,
            "threshold": one.threshold if one.HasField("threshold") else None,
            "revision": said.revision,
        }
        for said in chronicle.messages(topics.MONITORS_MEASURED, MonitorMeasured)
        if said.kind == MonitorKind.MONITOR_KIND_FEATURE_DRIFT
        for one in said.measurements
        if one.statistic == "psi" and one.HasField("value") and one.subject
    ]
    schema = {
        "week": pl.Date,
        "feature": pl.String,
        "psi": pl.Float64,
        "threshold": pl.Float64,
        "revision": pl.Int64,
    }
    frame = pl.DataFrame(rows, schema=schema).sort("revision")
    return frame.unique(["week", "feature"], keep="last").sort("week", "feature")


def consistency(measured: pl.DataFrame) -> dict[str, Any]:
    """What the consistency monitor recomputed while living, and how many of these features differed."""
    if not measured.width:
        return {"consistency_sampled": 0, "consistency_differences": 0}
    told = measured.filter(pl.col("kind") == "CONSISTENCY").unique("_id")
    rates = told.select("measurements").explode("measurements").unnest("measurements")
    rates = rates.filter(pl.col("statistic").is_in(_RATES))
    overall = rates.filter((pl.col("subject") == "") & (pl.col("statistic") == _RATES[0]))
    by_feature = rates.filter(pl.col("subject") != "")
    return {
        "consistency_sampled": int(overall["rows"].sum()),
        "consistency_differences": round((by_feature["value"] * by_feature["rows"]).sum()),
    }


def _rollouts_in(chronicle: Chronicle, state: RolloutState.ValueType) -> int:
    rollouts = chronicle.messages(topics.ROLLOUTS_CHANGED, RolloutChanged)
    return len({said.rollout_id for said in rollouts if said.state == state})


def _version(versions: list[dict[str, Any]], role: str) -> str | None:
    return next((version["version"] for version in versions if version["role"] == role), None)
