r"""Reading records whose header names are not UTF-8.

Kafka takes any bytes for a header's name. The client raises for what is not UTF-8, at every attempt: one
such record would stop its partition for every reader and for good. Here the client's compiled reader goes
first, and a batch that it gives up on is read again by the client's reader in Python, with what is not UTF-8
escaped, such as "Gr\xf6sse". The client has no other way in than the name by which its fetcher finds the
reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import SupportsIndex


def read_any_header_name() -> None:
    """Let every consumer of this process read header names that are not UTF-8."""
    fetcher.MemoryRecords = ForgivingRecords


class ForgivingRecords:
    """What was fetched of a partition, as the client's fetcher reads it."""

    def __init__(self, data: bytes) -> None:
        self._batches = _MemoryRecordsPy(data)

    def size_in_bytes(self) -> int:
        """Return how much was fetched."""
        return int(self._batches.size_in_bytes())

    def has_next(self) -> bool:
        """Tell whether there is another whole batch."""
        return bool(self._batches.has_next())

    def next_batch(self) -> Any:
        """Return the next batch; one in a format without headers is the client's own."""
        data = self._batches._next_slice  # noqa: SLF001 - the batch does not give its bytes back
        batch = self._batches.next_batch()
        return _ForgivingBatch(batch, data) if isinstance(batch, DefaultRecordBatch) else batch


class _ForgivingBatch:
    """A batch that can be iterated over whatever its header names; all else is the client's own."""

    def __init__(self, batch: Any, data: memoryview | None) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            # At once: a generator would be resumed for every record.
            return iter(list(self._batch))
        except UnicodeDecodeError:
            return iter(_read_escaped(self._data))


def _read_escaped(data: memoryview | None) -> Iterable[Any]:
    assert data is not None
    batch = _DefaultRecordBatchPy(data)
    batch._maybe_uncompress()  # noqa: SLF001 - its first step, after which the buffer holds the records
    batch._buffer = _Escaping(batch._buffer)  # noqa: SLF001
    records: Iterable[Any] = batch
    return records


class _Escaping(bytearray):
    """Bytes, every part of which decodes: names are all that the reader decodes."""

    @overload
    def __getitem__(self, at: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, at: slice) -> bytearray: ...
    def __getitem__(self, at: SupportsIndex | slice) -> int | bytearray:
        part = super().__getitem__(at)
        return part if isinstance(part, int) else _Escaping(part)

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)
