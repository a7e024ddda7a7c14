"""Rows to domain values and back: versions, routes, and the outbox."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from bus.events import Event

from control_plane.adapters.sql.experiment_documents import of_experiment, to_experiment
from control_plane.domain.routes import Canary, Route
from control_plane.domain.versions import (
    Evaluation,
    Gate,
    ModelSummary,
    PackageFacts,
    Provenance,
    Standing,
    Version,
)
from control_plane.ports import Pending

Columns = Mapping[str, Any]

_FACTS = tuple(field.name for field in fields(PackageFacts) if field.name not in ("model", "name"))
_SAID = ("registered_by", "owner", "risk", "retrain_request_id")


def of_version(version: Version) -> dict[str, Any]:
    """A version as the row of `versions` to insert."""
    facts = {name: getattr(version.facts, name) for name in _FACTS}
    said = {name: getattr(version.provenance, name) for name in _SAID}
    return (
        facts
        | said
        | decided_of_version(version)
        | {
            "model": version.model,
            "version": version.version,
            "digest": version.digest,
            "package_uri": version.package_uri,
            "registered_at_us": version.registered_at_us,
            "package_name": version.facts.name,
            "feature_names": list(version.facts.feature_names),
            "metrics": dict(version.facts.metrics),
            "gates": [asdict(gate) for gate in version.provenance.gates],
            "evaluations": [asdict(evaluation) for evaluation in version.provenance.evaluations],
        }
    )


def decided_of_version(version: Version) -> dict[str, Any]:
    """The part of a version's row that changes."""
    return {
        "standing": version.standing.value,
        "routed": version.routed,
        "withdrawn": version.withdrawn,
    }


def to_version(row: Columns) -> Version:
    """A row of `versions` as a version."""
    facts = {name: row[name] for name in _FACTS} | {"feature_names": tuple(row["feature_names"])}
    return Version(
        model=row["model"],
        version=row["version"],
        digest=row["digest"],
        package_uri=row["package_uri"],
        facts=PackageFacts(model=row["model"], name=row["package_name"], **facts),
        registered_at_us=row["registered_at_us"],
        provenance=Provenance(
            **{name: row[name] for name in _SAID},
            gates=tuple(Gate(**gate) for gate in row["gates"]),
            evaluations=tuple(Evaluation(**evaluation) for evaluation in row["evaluations"]),
        ),
        standing=Standing(row["standing"]),
        routed=row["routed"],
        withdrawn=row["withdrawn"],
    )


def to_summary(row: Columns) -> ModelSummary:
    """A row of the summary query as a summary."""
    return ModelSummary(
        model=row["model"],
        versions=row["versions"],
        latest_version=row["latest_version"],
        champion=row["champion"],
        shadows=tuple(row["shadows"] or ()),
        revision=row["revision"] or 0,
    )


def of_route(route: Route) -> dict[str, Any]:
    """A route as the row of `routes` to insert."""
    canary = route.canary
    return {
        "model": route.model,
        "revision": route.revision,
        "champion": route.champion.version,
        "shadows": list(route.shadow_names),
        "changed_at_us": route.changed_at_us,
        "canary": canary.version.version if canary else None,
        "canary_basis_points": canary.weight_basis_points if canary else 0,
        "salt": route.salt,
        "experiment": of_experiment(route.experiment),
    }


def names_in_route(row: Columns) -> set[str]:
    """The versions that a row of `routes` names."""
    named = {row["champion"], *row["shadows"], *to_experiment(row["experiment"]).version_names}
    return named | ({row["canary"]} if row["canary"] else set())


def to_route(row: Columns, known: Mapping[str, Version]) -> Route:
    """A row of `routes` as a route of known versions."""
    canary = row["canary"]
    experiment = to_experiment(row["experiment"])
    return Route(
        model=row["model"],
        revision=row["revision"],
        champion=known[row["champion"]],
        shadows=tuple(known[name] for name in row["shadows"]),
        changed_at_us=row["changed_at_us"],
        canary=Canary(known[canary], row["canary_basis_points"]) if canary else None,
        salt=row["salt"],
        experiment=experiment,
        participants=tuple(known[name] for name in experiment.version_names),
    )


def of_event(topic: str, event: Event) -> dict[str, Any]:
    """An event as the row of `outbox` to insert."""
    row = asdict(event) | {"topic": topic, "event_id": event.id}
    del row["id"], row["tombstone"]
    return row


def to_pending(row: Columns) -> Pending:
    """A row of `outbox` as the event to publish."""
    envelope = {name: row[name] for name in _ENVELOPE}
    return Pending(row["number"], row["topic"], Event(id=row["event_id"], **envelope))


_ENVELOPE = tuple(field.name for field in fields(Event) if field.name not in ("id", "tombstone"))
