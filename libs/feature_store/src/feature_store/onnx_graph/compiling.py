"""A project as a data plane in any language is given it: a document, and a graph for each contract.

`docs/data-plane.md` says what stands in it and what it is for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from feature_store.concealment import names_kept
from feature_store.onnx_graph.assembly import NotExportable, export_assembly
from feature_store.plans import plan_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from feature_store.contract import Contract
    from feature_store.definitions import ModelSpec, View
    from feature_store.project import Project

DOCUMENT: Final = "contract.json"
_VERSION: Final = 1


def compile_project(project: Project) -> Mapping[str, bytes]:
    """Return the compiled contract: files by name, the same bytes for the same definitions.

    `contract.json` says what is to be known of every model, and `<contract hash>.onnx` assembles the vectors
    of each contract that has a graph; a model whose contract has none says why.
    """
    graphs: dict[str, bytes] = {}
    models = {
        name: _model(spec, project.contract(name), graphs) for name, spec in sorted(project.models.items())
    }
    document = {
        "version": _VERSION,
        "project": project.module,
        "entities": sorted(project.entities),
        "views": {name: _view(view) for name, view in sorted(project.views.items())},
        "models": models,
        "sensitive": _sensitive(project),
    }
    text = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return {DOCUMENT: f"{text}\n".encode(), **graphs}


def _model(spec: ModelSpec, contract: Contract, graphs: dict[str, bytes]) -> dict[str, Any]:
    return {
        "contract_hash": contract.hash.hex(),
        "features": list(contract.feature_names),
        "entities": list(contract.entities),
        "inputs": {name: str(kind) for name, kind in contract.inputs.items()},
        "views": [view.name for view in contract.views],
        "label": spec.label.name,
        "log": spec.log,
        "log_basis_points": spec.log_basis_points,
        "when_unreadable": spec.when_unreadable,
        "assembly": _assembly(contract, graphs),
    }


def _assembly(contract: Contract, graphs: dict[str, bytes]) -> dict[str, str]:
    name = f"{contract.hash.hex()}.onnx"
    try:
        graphs.setdefault(name, export_assembly(contract).SerializeToString(deterministic=True))
    except NotExportable as error:
        return {"missing": str(error)}
    return {"file": name}


def _view(view: View) -> dict[str, Any]:
    return {
        "digest": view.digest.hex(),
        "partitions": view.source.partitions,
        "tile_words": sum(window.words for window in plan_of(view).windows),
    }


def _sensitive(project: Project) -> dict[str, list[str]] | None:
    if not project.is_sensitive:
        return None
    return {name: sorted(names) for name, names in names_kept(project).items()}
