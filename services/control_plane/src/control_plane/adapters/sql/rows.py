"""Rows to domain values and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from bus.events import Event

from control_plane.domain.versions import ModelSummary, PackageFacts, Version
from control_plane.ports import Pending

Columns = Mapping[str, Any]

_FACTS = tuple(field.name for field in fields(PackageFacts) if field.name not in ("model", "name"))


def of_version(version: Version) -> dict[str, Any]:
    """A version as the row of `versions` to insert."""
    facts = {name: getattr(version.facts, name) for name in _FACTS}
    return facts | {
        "model": version.model,
        "version": version.version,
        "digest": version.digest,
        "package_uri": version.package_uri,
        "registered_at_us": version.registered_at_us,
        "package_name": version.facts.name,
        "feature_names": list(version.facts.feature_names),
        "metrics": dict(version.facts.metrics),
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
