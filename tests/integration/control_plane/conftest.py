"""A broker of these tests' own, for the control plane's topics and group have fixed names."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from local_stack import LocalStack
from model_package import PackageStore
from tidemark_cli.platform import Platform, ProcessSpec

ACTOR = {"Tidemark-Actor": "ada"}


@pytest.fixture(scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with LocalStack(tmp_path_factory.mktemp("kafka"), valkey=None) as stack:
        yield stack.kafka_bootstrap


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("control-plane")


@pytest.fixture(scope="module")
def store(folder: Path) -> PackageStore:
    return PackageStore(folder / "packages")


@pytest.fixture(scope="module")
async def platform(folder: Path) -> AsyncIterator[Platform]:
    environment = {"PACKAGES_URI": str(folder / "packages")}
    async with Platform(folder / "logs", environment) as platform:
        yield platform


@pytest.fixture(scope="module")
async def rest(platform: Platform, broker: str, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The API of a control plane that several tests share."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": broker,
        "DATABASE_URL": f"sqlite:///{folder}/shared.sqlite",
    }
    process = await platform.start(ProcessSpec("shared", "control_plane", (), environment, ("HTTP_PORT",)))
    async with httpx.AsyncClient(base_url=process.url("HTTP_PORT"), headers=ACTOR) as client:
        yield client


@pytest.fixture
def spec(broker: str, tmp_path: Path) -> ProcessSpec:
    """A control plane with a database of its own."""
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": broker,
        "DATABASE_URL": f"sqlite:///{tmp_path}/registry.sqlite",
    }
    return ProcessSpec(f"control-plane-{tmp_path.name}", "control_plane", (), environment, ("HTTP_PORT",))
