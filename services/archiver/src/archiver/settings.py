"""What the environment tells the archiver."""

from typing import Annotated

from pydantic import Field
from service_kit import Settings


class ArchiverSettings(Settings):
    """The frame's settings, where the lake is, and when a batch is written.

    Attributes:
        tidemark_project: The project whose sources are kept, e.g. `examples.flights`.
        lake_uri: A folder, or an object store's URI with credentials in the store's own variables.
        flush_records: A batch is written when it has so many records.
        flush_ms: Or when its first record has waited so long.
        history_days: How long any version of a table can still be read: longer than a reader's longest run.
    """

    tidemark_project: Annotated[str, Field(min_length=1)]
    lake_uri: Annotated[str, Field(min_length=1)] = "build/lake"
    flush_records: Annotated[int, Field(ge=1, le=200_000)] = 20_000
    flush_ms: Annotated[int, Field(ge=1, le=600_000)] = 3_000
    history_days: Annotated[int, Field(ge=1)] = 7
