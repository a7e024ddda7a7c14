"""A broker and a control plane for all of these tests: the platform's topics have fixed names."""

from collections.abc import AsyncIterator

import pytest
from local_stack import LocalStack
from tidemark_cli.platform import Platform, ProcessSpec
from tidemark_cli.testing import Cli


@pytest.fixture(scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with LocalStack(tmp_path_factory.mktemp("kafka"), valkey=None) as stack:
        yield stack.kafka_bootstrap


@pytest.fixture(scope="session")
def on_kafka(broker: str) -> Cli:
    """Commands that need a broker and nothing else."""
    return Cli({"KAFKA_BOOTSTRAP_SERVERS": broker, "COLUMNS": "250"})


@pytest.fixture(scope="session")
async def cli(broker: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cli]:
    folder = tmp_path_factory.mktemp("control-plane")
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": broker,
        "DATABASE_URL": f"sqlite:///{folder}/registry.sqlite",
        "PACKAGES_URI": str(folder / "packages"),
    }
    async with Platform(folder / "logs", environment) as platform:
        process = await platform.start(ProcessSpec("control-plane", "control_plane", ports=("HTTP_PORT",)))
        yield Cli(
            {
                "KAFKA_BOOTSTRAP_SERVERS": broker,
                "TIDEMARK_CONTROL_PLANE_URL": process.url("HTTP_PORT"),
                "PACKAGES": str(folder / "packages"),
                "COLUMNS": "250",
            }
        )
