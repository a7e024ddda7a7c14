"""Where training sets are kept: a folder each beside the lake's tables, by name, immutable."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from training_sets.datasets import Dataset
from training_sets.errors import UnknownDataset, UnreadableTable
from training_sets.locations import uri_of
from training_sets.manifests import Manifest

MANIFEST: Final = "dataset.json"
ROWS: Final = "rows.parquet"
KEY, TIME, KNOWN, LABEL, STATUSES = "request_key", "request_time", "label_known_time", "label", "statuses"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MOMENT: Final = pa.timestamp("us", tz="UTC")


class DatasetShelf:
    """Training sets below `<lake>/datasets`. The description is written last: what has none is not there."""

    def __init__(self, lake_uri: str) -> None:
        self._files, root = fs.FileSystem.from_uri(uri_of(lake_uri))
        self._root = f"{root.rstrip('/')}/datasets"

    def keep(self, dataset: Dataset, manifest: Manifest) -> Manifest:
        """Keep a training set; one of the same name is the same, and its first description stands."""
        folder = f"{self._root}/{manifest.name}"
        if self._is_there(f"{folder}/{MANIFEST}"):
            return self.open(manifest.name)
        self._files.create_dir(folder, recursive=True)
        pq.write_table(to_arrow(dataset, manifest), f"{folder}/{ROWS}", filesystem=self._files)
        self._describe(manifest)
        return manifest

    def erase(self, manifest: Manifest, columns: Mapping[str, str], until_us: int, erasure_id: str) -> int:
        """Take out the rows that a subject is named in; the training set is marked first, and for good.

        Args:
            manifest: Whose rows.
            columns: Column to what a subject's rows hold there, such as "entity.airport" to "JFK".
            until_us: Requests of up to this time.
            erasure_id: For the mark.

        Returns:
            How many rows were taken out. Doing it again takes out what is left.

        Raises:
            UnreadableTable: the rows are gone or damaged.
        """
        rows = self.rows(manifest)
        gone = pc.and_(_named(rows, columns), pc.less_equal(rows[TIME], pa.scalar(until_us, _MOMENT)))
        kept = rows.filter(pc.invert(gone))
        if kept.num_rows == rows.num_rows:
            return 0
        if erasure_id not in manifest.erased:
            self._describe(replace(manifest, erased=(*manifest.erased, erasure_id)))
        location = f"{self._root}/{manifest.name}/{ROWS}"
        pq.write_table(kept, f"{location}.new", filesystem=self._files)
        self._files.move(f"{location}.new", location)
        return int(rows.num_rows - kept.num_rows)

    def count(self, manifest: Manifest, columns: Mapping[str, str]) -> int:
        """Count the rows that a subject is named in; `columns` as for `erase`.

        Raises:
            UnreadableTable: the rows are gone or damaged.
        """
        return int(pc.sum(_named(self.rows(manifest), columns)).as_py() or 0)

    def _describe(self, manifest: Manifest) -> None:
        place = f"{self._root}/{manifest.name}/{MANIFEST}"
        with self._files.open_output_stream(f"{place}.new") as file:
            file.write(json.dumps(manifest.to_json(), indent=2).encode())
        self._files.move(f"{place}.new", place)

    def open(self, name: str) -> Manifest:
        """Read a description.

        Args:
            name: As listed, or as many of its first characters as are unique.

        Raises:
            UnknownDataset: there is none, or several begin so.
            UnreadableTable: it is damaged.
        """
        found = self._named(name)
        try:
            with self._files.open_input_stream(f"{self._root}/{found}/{MANIFEST}") as file:
                return Manifest.of_json(json.loads(file.read()))
        except (OSError, ValueError) as error:
            raise UnreadableTable(f"training set {found} cannot be read: {error}") from error

    def rows(self, manifest: Manifest) -> pa.Table:
        """Read the rows, in their order.

        Raises:
            UnreadableTable: they are gone or damaged.
        """
        location = f"{self._root}/{manifest.name}/{ROWS}"
        try:
            return pq.read_table(location, filesystem=self._files)
        except (OSError, pa.ArrowException) as error:
            raise UnreadableTable(
                f"{location} cannot be read: {error}; `dataset verify` builds it again and compares"
            ) from error

    def names(self) -> list[str]:
        """List what is kept."""
        listed = self._files.get_file_info(fs.FileSelector(self._root, allow_not_found=True))
        folders = [one.base_name for one in listed if one.type is fs.FileType.Directory]
        return sorted(name for name in folders if self._is_there(f"{self._root}/{name}/{MANIFEST}"))

    def _named(self, name: str) -> str:
        begun = [one for one in self.names() if one.startswith(name)] if _NAME.fullmatch(name) else []
        if name in begun:
            return name
        if len(begun) != 1:
            which = f"several begin so: {', '.join(begun)}" if begun else "`dataset list` shows what there is"
            raise UnknownDataset(f"no training set is called {name!r}; {which}")
        return begun[0]

    def _is_there(self, location: str) -> bool:
        return bool(self._files.get_file_info(location).type is fs.FileType.File)


def _named(rows: pa.Table, columns: Mapping[str, str]) -> pa.ChunkedArray:
    chosen = [pc.equal(rows[name], key) for name, key in columns.items() if name in rows.column_names]
    nobody = pa.chunked_array([pa.repeat(False, rows.num_rows)])  # noqa: FBT003
    return pc.fill_null(reduce(pc.or_, chosen, nobody), False)  # noqa: FBT003


def to_arrow(dataset: Dataset, manifest: Manifest) -> pa.Table:
    """Return the rows as a table: key, times, label, entities, inputs, a float32 column a feature, statuses.

    A row's statuses are one byte a feature, in the features' order (`feature_store.vectors.Status`).
    """
    labelled, vectors = dataset.labelled, dataset.vectors
    columns: dict[str, pa.Array] = {
        KEY: pa.array(labelled.keys, pa.string()),
        TIME: pa.array(labelled.requests.time_us, pa.int64()).cast(_MOMENT),
        KNOWN: pa.array(labelled.known_us, pa.int64()).cast(_MOMENT),
        LABEL: pa.array(labelled.labels, pa.float64()),
    }
    for prefix, told in (("entity", labelled.requests.entities), ("input", labelled.requests.context)):
        columns |= {f"{prefix}.{name}": pa.array(column) for name, column in told.items()}
    for at, name in enumerate(manifest.features):
        columns[name] = pa.array(np.ascontiguousarray(vectors.values[:, at]))
    statuses = np.ascontiguousarray(vectors.statuses)
    columns[STATUSES] = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(statuses.shape[1]), len(statuses), [None, pa.py_buffer(statuses.tobytes())]
    )
    return pa.table(columns)
