"""What the environment tells this service."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from service_kit import Settings


class TriggerSettings(Settings):
    """The frame's settings, and where tables are kept; the README has the table.

    Attributes:
        tidemark_project: Declares the policies, e.g. `examples.flights`.
        work_uri: Folder of the tables' local copies; they can be rebuilt from their changelogs.
    """

    tidemark_project: Annotated[str, Field(min_length=1)]
    work_uri: Annotated[str, Field(min_length=1)] = "data/retrain-trigger"
