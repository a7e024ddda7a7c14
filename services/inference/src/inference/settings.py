"""What the environment tells this service."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from service_kit import Settings


class InferenceSettings(Settings):
    """Settings of all roles; the README has the table."""

    grpc_host: str = "0.0.0.0"  # noqa: S104 - callers are elsewhere
    grpc_port: Annotated[int, Field(ge=0, le=65_535)] = 50051
    grpc_reuse_port: bool = False
    grpc_calls_per_connection: Annotated[int, Field(ge=0)] = 100
    rest_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    packages_uri: str = "data/packages"
    redis_deadline_ms: Annotated[float, Field(gt=0)] = 20
    model_memory_mb: Annotated[int, Field(ge=0)] = 0
    max_batch: Annotated[int, Field(ge=1)] = 256
    max_waiting: Annotated[int, Field(ge=1000)] = 2048
    calm_latency_ms: Annotated[float, Field(gt=0)] = 25
    slow_run_ms: Annotated[float, Field(gt=0)] = 10
    failures_in_a_row: Annotated[int, Field(ge=1)] = 10
    drain_seconds: Annotated[float, Field(ge=0)] = 1
    prediction_buffer: Annotated[int, Field(ge=1)] = 20_000
    prediction_linger_ms: Annotated[int, Field(ge=0)] = 20
    durable_deadline_ms: Annotated[float, Field(gt=0)] = 1_000
    shadow_wait_ms: Annotated[int, Field(ge=0, le=10_000)] = 100
    stream_max_batch: Annotated[int, Field(ge=1, le=20_000)] = 4_000
    stream_wait_ms: Annotated[int, Field(ge=0, le=10_000)] = 100
    stream_capacity_per_second: Annotated[float, Field(gt=0)] = 10_000
    stream_drain_seconds: Annotated[float, Field(gt=0)] = 60
    stream_redis_deadline_ms: Annotated[float, Field(gt=0)] = 2_000
    retry_refused_seconds: Annotated[float, Field(gt=0)] = 10
    follow_beat_seconds: Annotated[float, Field(gt=0)] = 5
