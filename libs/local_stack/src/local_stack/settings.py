"""What the environment says about the stack."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Backend(StrEnum):
    """Who runs the servers that were not given."""

    AUTO = "auto"
    PROCESSES = "processes"
    TESTCONTAINERS = "testcontainers"


class StackSettings(BaseSettings):
    """Where to find, or how to start, a Kafka and a Valkey."""

    model_config = SettingsConfigDict(frozen=True, populate_by_name=True, env_ignore_empty=True)

    kafka_bootstrap_servers: str | None = Field(None, alias="KAFKA_BOOTSTRAP_SERVERS")
    redis_url: str | None = Field(None, alias="REDIS_URL")
    backend: Backend = Field(Backend.AUTO, alias="TIDEMARK_STACK_BACKEND")
    cache: Path = Field(Path("~/.cache/tidemark"), alias="TIDEMARK_CACHE")
    maven_url: str | None = Field(None, alias="TIDEMARK_MAVEN_URL", pattern="^https?://")

    @property
    def cache_folder(self) -> Path:
        """The folder for downloads, which every stack of this user shares."""
        return self.cache.expanduser()
