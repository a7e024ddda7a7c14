"""What the environment tells this service."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from service_kit import Settings


class InferenceSettings(Settings):
    """Settings of both roles; the README has the table."""

    grpc_host: str = "0.0.0.0"  # noqa: S104 - callers are elsewhere
    grpc_port: Annotated[int, Field(ge=0, le=65_535)] = 50051
    grpc_reuse_port: bool = False
    packages_uri: str = "data/packages"
    redis_deadline_ms: Annotated[float, Field(gt=0)] = 20
    model_memory_mb: Annotated[int, Field(ge=0)] = 0
    max_batch: Annotated[int, Field(ge=1)] = 256
    max_waiting: Annotated[int, Field(ge=1000)] = 2048
    prediction_buffer: Annotated[int, Field(ge=1)] = 20_000
    prediction_linger_ms: Annotated[int, Field(ge=0)] = 20
    durable_deadline_ms: Annotated[float, Field(gt=0)] = 1_000
    shadow_wait_ms: Annotated[int, Field(ge=0, le=10_000)] = 100
    retry_refused_seconds: Annotated[float, Field(gt=0)] = 10
    follow_beat_seconds: Annotated[float, Field(gt=0)] = 5
