"""The port between a source and the bytes of its events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from feature_store.expressions import FieldType
    from feature_store.rejects import Rejects

FIRST_SECOND: Final = -62_135_596_800
"""0001-01-01T00:00:00Z; no time is earlier."""

LAST_SECOND: Final = 253_402_300_799
"""9999-12-31T23:59:59Z; no time is later than this second."""

Columns = dict[str, "NDArray[Any]"]


class Format(Protocol):
    """Knows the fields of a payload and decodes many payloads at once."""

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """The payload's fields, in order, with their types."""

    @property
    def name(self) -> str:
        """What the payload is, for messages and for hashes: "protobuf flights.v1.FlightDeparted"."""

    def decode(self, values: Sequence[bytes], rejects: Rejects) -> Columns:
        """Return a column for every field, laid out as its type says, as long as `values`.

        A payload that cannot be read is added to `rejects`, and its values in the columns are arbitrary. It
        never raises for a payload.
        """
