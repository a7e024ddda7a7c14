"""Settings from the environment, and mistakes in them told in one line."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(SystemExit):
    """The environment makes no sense.

    Unless caught, it ends the process with status 1 and one line on stderr, for whoever reads it wants to
    correct a variable, not to read a traceback.
    """


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LogFormat(StrEnum):
    """How a log line looks; AUTO is CONSOLE where a terminal looks, else JSON."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class Settings(BaseSettings):
    """What the environment tells every service; the field `redis_url` is the variable REDIS_URL.

    A service with more to be told subclasses it. `privacy_key_file` holds the secret that sensitive fields
    and erased subjects are hashed with (docs/privacy.md); empty where there are none.

    Raises:
        SettingsError: a variable is missing or wrong; the message names each.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    kafka_bootstrap_servers: str = "localhost:9092"
    redis_url: str = "redis://localhost:6379/0"
    tidemark_project: str = ""
    tidemark_stack: Annotated[str, Field(min_length=1, max_length=64)] = "local"
    privacy_key_file: str = ""
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.AUTO

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(f"wrong settings: {_told(error)}") from None


def _told(error: ValidationError) -> str:
    # The given value is left out: it may hold a password.
    return "; ".join(f"{'.'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors())
