"""A contract's definitions as a JSON document: what a package carries, so that its rows can be read.

A project moves on; the package says on its own which versions of which views its vectors are read from, how
their keys begin, and what each feature of them is (`docs/formats.md`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from feature_store.rows import key_prefix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from feature_store.contract import Contract
    from feature_store.definitions import View

VERSION: Final = 1


class UnknownDocument(ValueError):
    """It is no document of definitions, or of a version that this code does not know."""


def document_of(contract: Contract) -> bytes:
    """Return a contract's definitions as canonical JSON, in UTF-8."""
    content = {
        "version": VERSION,
        "contract_hash": contract.hash.hex(),
        "contract": json.loads(contract.canonical()),
        "views": [_view(view) for view in contract.views],
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def versions_in(document: bytes) -> Mapping[str, str]:
    """Return the versions that a document's vectors are read from: hex digests by the views' names.

    Raises:
        UnknownDocument: it is none, or of a version that this code does not know.
    """
    try:
        content = json.loads(document)
        if content["version"] != VERSION:
            raise UnknownDocument(f"definitions of version {content['version']!r}; this code reads {VERSION}")
        return {view["definition"]["view"]: view["digest"] for view in content["views"]}
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, UnknownDocument):
            raise
        raise UnknownDocument(f"no document of definitions: {error!r}") from error


def _view(view: View) -> dict[str, Any]:
    return {
        "definition": view.canonical(),
        "features": [[name, view.canonical_of(kept)] for name, kept in view.aggregations.items()],
        "digest": view.digest.hex(),
        "rows": key_prefix(view.name, view.digest).decode(),
    }
