"""A project's features as plain data: what is shown, exported and compared. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from feature_store.contract import Contract
from feature_store.definitions import Feature, RequestTime
from feature_store.keys import SEPARATOR
from feature_store.plans import plan_of
from feature_store.rows import WORD_BYTES, key_prefix
from feature_store.said import said

if TYPE_CHECKING:
    from feature_store import Project
    from feature_store.definitions import Dimension, Entity, View

Described = dict[str, Any]


def describe_project(project: Project) -> Described:
    """Return what a reader, or a later `diff`, needs to know of a project's features, as JSON has it."""
    return {
        "project": project.module,
        "views": {name: _describe_view(project, view) for name, view in sorted(project.views.items())},
        "dimensions": {
            name: _describe_dimension(dimension) for name, dimension in sorted(project.dimensions.items())
        },
        "requests": {
            name: _describe_request(project, request) for name, request in sorted(project.requests.items())
        },
        "models": {
            name: {
                "contract_hash": Contract.of(spec).hash.hex(),
                "features": [feature.full_name for feature in spec.features],
            }
            for name, spec in sorted(project.models.items())
        },
    }


def _describe_view(project: Project, view: View) -> Described:
    layout = plan_of(view).layout
    used = users(project, view)
    return {
        "digest": view.digest.hex(),
        "entity": view.entity.name,
        "key": view.canonical()["key"],
        "asked_for": list(view.entity.parts),
        "source": view.source.topic,
        "ttl_us": view.ttl_us,
        "freshness_us": view.freshness_us,
        "owner": view.owner,
        "sensitivity": view.sensitivity,
        "meaning": view.description,
        "declared_at": str(view.location or ""),
        "row": {
            "key": key_prefix(view.name, view.digest).decode() + SEPARATOR.join(_key_names(view.entity)),
            "partitions": layout.partitions,
            "header_words": layout.words - len(layout.initial),
            "tile_words": len(layout.initial),
            "bytes": layout.words * WORD_BYTES,
        },
        "features": {
            name: {
                "type": type(aggregation).__name__,
                "window_us": aggregation.window_us,
                "tiles": aggregation.tiles,
                "default": float(aggregation.default),
                "words": said(Feature(view, name, aggregation)).words.sentence,
                "definition": view.canonical_of(aggregation),
                "models": used[name],
            }
            for name, aggregation in view.aggregations.items()
        },
        "models": sorted({model for models in used.values() for model in models}),
    }


def _key_names(entity: Entity) -> list[str]:
    """Return what stands in a row's key for each part of an entity's."""
    return [f"<{part}>" for part in entity.keys or (entity.name,)]


def _describe_dimension(dimension: Dimension) -> Described:
    tables = dimension.tables
    return {
        "key": dimension.key,
        "valid_from": dimension.valid_from,
        "rows": len(next(iter(tables.values())).values) - 1,
        "meaning": dimension.description,
        "owner": dimension.owner,
        "attributes": {
            name: {"type": str(table.kind), "sha256": table.digest} for name, table in tables.items()
        },
    }


def _describe_request(project: Project, request: RequestTime) -> Described:
    return {
        "inputs": sorted({*request.expression.requests(), *request.expression.entity_keys()}),
        "default": float(request.default),
        "words": said(request).words.sentence,
        "definition": request.expression.canonical(),
        "models": [name for name, spec in sorted(project.models.items()) if request in spec.features],
    }


def users(project: Project, view: View) -> dict[str, list[str]]:
    """Return the models that each feature of a view is part of."""
    used: dict[str, list[str]] = {name: [] for name in view.aggregations}
    for model, spec in sorted(project.models.items()):
        for feature in spec.features:
            if isinstance(feature, Feature) and feature.view is view:
                used[feature.name].append(model)
    return used


def compare(old: Described, new: Described) -> Described:
    """Return what differs between two descriptions, and whether something served would change.

    A view whose digest differs keeps other rows: they have to be backfilled before its models are right.
    """
    models = _compare_models(old["models"], new["models"])
    views = {
        name: _compare_view(old["views"].get(name), new["views"].get(name))
        for name in sorted({*old["views"], *new["views"]})
        if _digest(old, name) != _digest(new, name)
    }
    requests = {
        name: _change(old["requests"].get(name), new["requests"].get(name))
        for name in sorted({*old["requests"], *new["requests"]})
        if _definition(old, name) != _definition(new, name)
    }
    return {
        "views": views,
        "requests": requests,
        "models": models,
        "breaking": any(change != "added" for change in models.values()),
    }


def _compare_models(old: Described, new: Described) -> dict[str, str]:
    return {
        name: _change(old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name, {}).get("contract_hash") != new.get(name, {}).get("contract_hash")
    }


def _compare_view(old: Described | None, new: Described | None) -> Described:
    before, after = (old or {}).get("features", {}), (new or {}).get("features", {})
    shape = ("entity", "key", "source", "ttl_us")
    return {
        "change": _change(old, new),
        "backfill": new is not None,
        "bytes": {"from": _bytes(old), "to": _bytes(new)},
        "fields": [name for name in shape if old and new and old[name] != new[name]],
        "features": {
            name: _change(before.get(name), after.get(name))
            for name in sorted({*before, *after})
            if before.get(name, {}).get("definition") != after.get(name, {}).get("definition")
        },
        "models": sorted({*(old or {}).get("models", []), *(new or {}).get("models", [])}),
    }


def _change(old: object, new: object) -> str:
    if old is None:
        return "added"
    return "removed" if new is None else "changed"


def _digest(described: Described, view: str) -> str | None:
    found = described["views"].get(view)
    return None if found is None else found["digest"]


def _definition(described: Described, request: str) -> tuple[Any, Any] | None:
    found = described["requests"].get(request)
    return None if found is None else (found["definition"], found["default"])


def _bytes(view: Described | None) -> int:
    return 0 if view is None else int(view["row"]["bytes"])
