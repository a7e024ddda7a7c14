"""What the environment tells the trainer."""

from typing import Annotated

from pydantic import Field
from service_kit import Settings


class TrainerSettings(Settings):
    """The frame's settings, where data comes from and where packages go.

    Attributes:
        tidemark_project: The project whose models are trained, e.g. `examples.flights`.
        lake_uri: Where the archiver keeps its tables.
        packages_uri: Where packages are put; inference reads them there.
        work_uri: Where the steps of a training keep what they made, so that a killed one resumes.
        gate_worse_share: By what share a version's log loss may be above the champion's.
        gate_latency_ms: What the median of scoring one vector may take.
        route_wait_s: How long Kafka may take to tell who is champion.
        archive_wait_s: How long the archiver may take to write what was published before an approval.
        openlineage_url: Where OpenLineage events of what was trained are sent; nowhere when empty. The
            client's other settings are its own.
        tidemark_code_commit: The commit this code was built from, where git cannot be asked, as in an image.
    """

    tidemark_project: Annotated[str, Field(min_length=1)]
    lake_uri: Annotated[str, Field(min_length=1)] = "build/lake"
    packages_uri: Annotated[str, Field(min_length=1)] = "build/packages"
    work_uri: Annotated[str, Field(min_length=1)] = "build/training"
    gate_worse_share: Annotated[float, Field(ge=0)] = 0.01
    gate_latency_ms: Annotated[float, Field(gt=0)] = 10.0
    route_wait_s: Annotated[float, Field(gt=0)] = 15.0
    archive_wait_s: Annotated[float, Field(gt=0)] = 300.0
    openlineage_url: str = ""
    tidemark_code_commit: str | None = None
