"""A reader of rows that has docs/formats.md, docs/data-plane.md and ONNX Runtime, and nothing of ours.

It is slow and short on purpose: what it cannot know from the documents and the compiled contract, no plane in
another language could either.
"""

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

EMPTY = -(2**62)
LEAST = -(2**63)
NONE = "\uffff"
_ADDED = {"count", "sum"}


def point(salt: str, key: str) -> int:
    """Where a key falls: *Assignment hash*."""
    head = hashlib.sha256(f"{salt}:{key}".encode()).digest()[:8]
    return int.from_bytes(head, "big") * 10_000 // 2**64


def arm_at(weights: Sequence[int], at: int) -> int:
    """Which arm's stretch of the basis points holds a point."""
    end = 0
    for number, weight in enumerate(weights):
        end += weight
        if at < end:
            return number
    raise ValueError(f"the weights {weights} do not sum to 10,000")


def arm_of(weights: Sequence[int], salt: str, key: str) -> int:
    """Which arm answers a key."""
    return arm_at(weights, point(salt, key))


class PlainReader:
    """Makes the vectors of one model of a compiled contract."""

    def __init__(self, contract: Path, model: str) -> None:
        document = json.loads((contract / "contract.json").read_text())
        self._views = document["views"]
        self._model = document["models"][model]
        graph = contract / self._model["assembly"]["file"]
        self._session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        metadata = self._session.get_modelmeta().custom_metadata_map["tidemark.assembly"]
        self._assembly = json.loads(metadata)

    def vector(
        self,
        store: Mapping[str, bytes],
        entities: Mapping[str, str],
        context: Mapping[str, Any],
        time_us: int,
    ) -> tuple[bytes, bytes]:
        """Return a request's vector, little-endian float32, and its statuses, a byte each."""
        rows = {view["view"]: self._row(store, view, entities) for view in self._assembly["views"]}
        read = {name: words for name, (words, _) in rows.items()}
        feeds = {
            "newest_us": [[words[4] if words else EMPTY for words in read.values()]],
            "readable": [[readable for _, readable in rows.values()]],
            "totals": [[self._merged(column, read, time_us) for column in self._assembly["totals"]]],
            "lasts": [[self._merged(column, read, time_us) for column in self._assembly["lasts"]]],
            "request_time_us": [time_us],
            **{f"request.{name}": [_fed(context[name])] for name in self._assembly["inputs"]},
            **{f"entity.{name}": [entities[name] or NONE] for name in self._assembly.get("entity_keys", ())},
        }
        wanted = {one.name: one.type for one in self._session.get_inputs()}
        given = {name: np.array(feeds[name], _DTYPES[kind]) for name, kind in wanted.items()}
        values, statuses = self._session.run(["values", "statuses"], given)
        return values.astype("<f4").tobytes(), statuses.astype(np.uint8).tobytes()

    def _row(
        self, store: Mapping[str, bytes], view: Mapping[str, Any], entities: Mapping[str, str]
    ) -> tuple[tuple[int, ...], bool]:
        """The words of a view's row, none where there is none, and whether it is readable."""
        parts = [entities[name] for name in view.get("keys", [view["entity"]])]
        if not all(parts):
            return (), True
        if "keys" in view:
            parts = [part.replace("\\", "\\\\").replace("|", "\\|") for part in parts]
        row = store.get(f"tm:f:{view['view']}:{view['digest'][:8]}:{'|'.join(parts)}")
        if row is None:
            return (), True
        digest = bytes.fromhex(view["digest"])[:8]
        if len(row) < 40 or row[:4] != b"TM\x01\0" or row[8:16] != digest:
            return (), False
        partitions = struct.unpack_from("<I", row, 4)[0]
        if len(row) != 8 * (5 + partitions + self._views[view["view"]]["tile_words"]):
            return (), False
        return struct.unpack(f"<{len(row) // 8}q", row), True

    def _merged(self, column: Mapping[str, Any], rows: Mapping[str, Sequence[int]], time_us: int) -> int:
        """An accumulator over the slots that count as of a time."""
        words, kind, n = rows[column["view"]], column["kind"], column["tiles"]
        if not words:
            return 0 if kind in _ADDED else LEAST
        start = 5 + (words[0] >> 32) + column["word"]
        slots = [start + slot for slot in _slots(column["tile_us"], n, words[4], time_us)]
        values = [words[slot] for slot in slots]
        match kind:
            case "count" | "sum":
                return (sum(values) + 2**63) % 2**64 - 2**63
            case "last" | "first":
                pick, empty = (max, EMPTY) if kind == "last" else (min, 2**62 - 1)
                kept = [(words[slot], words[slot + n]) for slot in slots if words[slot] != empty]
                return pick(kept)[1] if kept else LEAST
            case "min":
                least = min(values, default=2**63 - 1)
                return least if least != 2**63 - 1 else LEAST
            case "max":
                return max(values, default=LEAST)
        raise ValueError(f"no graph reads accumulators of kind {kind!r}")


def _slots(width_us: int, n: int, newest_us: int, time_us: int) -> list[int]:
    """*Reading as of T*: the slots that count."""
    shift_us = 2**61 if width_us == 2**62 else 0
    as_of, head = (time_us + shift_us) // width_us, (newest_us + shift_us) // width_us
    return [slot for slot in range(n) if max(head, as_of) - n < head - (head - slot) % n <= as_of]


_DTYPES = {
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
    "tensor(double)": np.float64,
    "tensor(int8)": np.int8,
    "tensor(string)": np.object_,
}


def _fed(value: Any) -> Any:
    return NONE if value is None else value
