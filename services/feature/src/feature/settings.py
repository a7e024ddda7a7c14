"""What the environment tells `feature`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from service_kit import Settings


class FeatureSettings(Settings):
    """The frame's settings, and how much is done at once.

    Attributes:
        tidemark_project: The project whose sources are read, e.g. `examples.flights`.
        batch_records: At most so many events are applied at once. More means fewer writes of rows that many
            events touch, and events that are visible later.
        cached_rows: Rows kept decoded in memory, a view; a row that is not among them is read before it is
            written.
        redis_timeout_s: A command that takes longer counts as Redis being away.
        rows_beat_s: How often it is looked whether rows were lost, beside once a batch.
        feature_grpc_host: Where `FeatureService` and `OutcomeService` listen.
        feature_grpc_port: 0 for a free one, which is logged.
        redis_read_url: Where `FeatureService` reads rows, if not at REDIS_URL: a replica, for example.
        redis_read_from_replicas: In a cluster, read from replicas too.
        redis_deadline_ms: A read that takes longer leaves its features DEFAULTED.
    """

    tidemark_project: Annotated[str, Field(min_length=1)]
    batch_records: Annotated[int, Field(ge=1, le=50_000)] = 4_000
    cached_rows: Annotated[int, Field(ge=1)] = 100_000
    redis_timeout_s: Annotated[float, Field(gt=0)] = 5.0
    rows_beat_s: Annotated[float, Field(gt=0)] = 2.0
    feature_grpc_host: str = "0.0.0.0"  # noqa: S104 - callers are elsewhere
    feature_grpc_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    redis_read_url: str = ""
    redis_read_from_replicas: bool = False
    redis_deadline_ms: Annotated[float, Field(gt=0)] = 50
