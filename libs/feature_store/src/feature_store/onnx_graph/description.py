"""What the columns of an assembly's inputs are, so that a program with rows in hand can fill them in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from feature_store.vectors import Read, VectorPlan

METADATA: Final = "tidemark.assembly"
"""The key of a model's metadata under which the description stands."""

VERSION: Final = 1


def describe(plan: VectorPlan) -> str:
    """Return the description as canonical JSON; `docs/formats.md` says what it means."""
    contract = plan.contract
    content = {
        "version": VERSION,
        "contract_hash": contract.hash.hex(),
        "features": list(contract.feature_names),
        "views": [
            {
                "view": view.name,
                "entity": view.entity.name,
                **({"keys": list(view.entity.parts)} if view.entity.keys else {}),
                "digest": view.digest.hex(),
                "ttl_us": view.ttl_us,
            }
            for view in contract.views
        ],
        "totals": [_describe(plan, read) for read in plan.totals],
        "lasts": [_describe(plan, read) for read in plan.lasts],
        "inputs": {name: str(kind) for name, kind in contract.inputs.items()},
    }
    if contract.entity_keys:
        content["entity_keys"] = list(contract.entity_keys)
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def _describe(plan: VectorPlan, read: Read) -> Mapping[str, Any]:
    return {
        "view": plan.views[read.view].view.name,
        "kind": str(read.placed.accumulator.kind),
        "tile_us": read.window.ring.width_us,
        "tiles": read.window.ring.count,
        "word": read.window.start + read.placed.start,
    }
