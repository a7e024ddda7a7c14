"""What the environment tells the explain role."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from service_kit import Settings


class ExplainSettings(Settings):
    """Settings of the explain role; docs/explanations.md has the table."""

    grpc_host: str = "0.0.0.0"  # noqa: S104 - callers are elsewhere
    grpc_port: Annotated[int, Field(ge=0, le=65_535)] = 50052
    packages_uri: str = "data/packages"
    lake_uri: Annotated[str, Field(min_length=1)] = "build/lake"
    explain_window: Annotated[int, Field(ge=1)] = 50_000
    explain_kept: Annotated[int, Field(ge=0)] = 1_000
    explain_waiting: Annotated[int, Field(ge=1)] = 64
    explain_seconds: Annotated[float, Field(gt=0)] = 60
    explain_batch: Annotated[int, Field(ge=1, le=1_000)] = 32
