"""What the environment tells this service."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from service_kit import Settings


class TriggerSettings(Settings):
    """The frame's settings, and whose life is followed; the README has the table.

    Attributes:
        tidemark_project: Declares the policies, e.g. `examples.flights`.
        trigger_group: The consumer group; its name is in the changelog's too.
    """

    tidemark_project: Annotated[str, Field(min_length=1)]
    trigger_group: Annotated[str, Field(min_length=1, max_length=64, pattern="^[a-z0-9.-]+$")] = (
        "retrain-trigger"
    )
