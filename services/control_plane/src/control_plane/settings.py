"""What the environment tells the control plane."""

from typing import Annotated

from pydantic import Field
from service_kit import Settings as FrameSettings


class Settings(FrameSettings, frozen=True):
    """See `service_kit.Settings` for what every service is told.

    Attributes:
        http_port: Where the REST API listens; 0 picks a free port and logs it.
        database_url: SQLite or PostgreSQL, in SQLAlchemy's form.
        packages_uri: The package store; a package outside it is refused.
    """

    http_port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    database_url: str = "sqlite+aiosqlite:///data/control_plane.sqlite"
    packages_uri: str = "data/packages"
