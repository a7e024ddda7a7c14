"""Every command and program of docs/clients.md, run as it stands there on real processes of the example."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bus.producer import KafkaPublisher
from bus.topics import CATALOGUE, OUTCOMES_OBSERVED, ROUTES_CHANGED, ensure_topics
from feature_store import load_project
from inference_kit.process import Process, read_all
from inference_kit.stock import route_event
from local_stack import LocalStack
from model_package import PackageStore
from model_package.testing import facts, write_logistic_package
from tidemark.outcomes.v1.outcome_pb2 import OutcomeObserved
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged, VersionRef
from tidemark.scoring.v1.prediction_pb2 import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]  # see test_go_example

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MODEL = "flight-delay"
READY = re.compile(r'"event": "ready"')


@dataclass(frozen=True)
class Example:
    """The example's servers: where they listen, by the names that the document has for them."""

    addresses: dict[str, str]
    rest_port: str
    kafka: str

    def here(self, code: str) -> str:
        """The same code on these addresses; nobody promises a busy machine's answers within a second."""
        for name, address in self.addresses.items():
            code = code.replace(name, address)
        code = code.replace("http://inference:", "http://127.0.0.1:")
        return code.replace("-max-time 1", "-max-time 60").replace("timeout_s=0.3", "timeout_s=60")


def route_of(folder: Path) -> RouteChanged:
    """Put a version of the example's model into a store, and give its route."""
    contract = load_project("examples.flights").contract(MODEL)
    known = facts(MODEL, contract.feature_names, contract_hash=contract.hash.hex())
    write_logistic_package(folder / "made", facts=known, weights=[0.0] * len(contract.feature_names))
    put = PackageStore(folder / "packages").put(folder / "made")
    version = VersionRef(version=put.version, digest=put.digest, package_uri=put.uri)
    arm = Arm(variant="champion", role=Role.ROLE_CHAMPION, version=version, weight_basis_points=10_000)
    return RouteChanged(model=MODEL, revision=1, salt="pepper", arms=[arm])


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return str(listening.getsockname()[1])


@asynccontextmanager
async def started(module: str, folder: Path, environment: dict[str, str]) -> AsyncIterator[Process]:
    process = Process(folder / f"{module}.log", environment, module=module)
    process.start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture(scope="module")
async def example(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Example]:
    folder = tmp_path_factory.mktemp("documented")
    route, rest_port = route_of(folder), free_port()
    async with AsyncExitStack() as all_of_it:
        stack = await all_of_it.enter_async_context(LocalStack(folder / "stack"))
        await ensure_topics(stack.kafka_bootstrap, CATALOGUE)
        publisher = await all_of_it.enter_async_context(
            KafkaPublisher(stack.kafka_bootstrap, client_id="test")
        )
        await publisher.publish(ROUTES_CHANGED.name, route_event(route))
        environment = {
            **stack.environment(),
            "PYTHONPATH": str(ROOT),
            "TIDEMARK_PROJECT": "examples.flights",
            "PACKAGES_URI": str(folder / "packages"),
            "GRPC_HOST": "127.0.0.1",
            "FEATURE_GRPC_HOST": "127.0.0.1",
            "GRPC_PORT": "0",
            "REST_PORT": rest_port,
            "METRICS_PORT": "0",
            "LOG_FORMAT": "json",
            "REDIS_DEADLINE_MS": "2000",
            "DRAIN_SECONDS": "0",
        }
        inference, feature = [
            await all_of_it.enter_async_context(started(module, folder, environment))
            for module in ("inference", "feature")
        ]
        scoring, features = await asyncio.gather(inference.address(), feature.address())
        await inference.says(READY)
        addresses = {
            "inference:50051": scoring,
            "feature:50052": features,
            "127.0.0.1:50051": scoring,
            "127.0.0.1:50052": features,
        }
        yield Example(addresses, rest_port, stack.kafka_bootstrap)


def blocks(heading: str, language: str) -> list[str]:
    """The code below a heading, in order."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [code for found, code in BLOCK.findall(section) if found == language]


def run(example: Example, environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environment, "REST_PORT": example.rest_port},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


async def reported(example: Example) -> set[str]:
    """The request keys of which an outcome is in the log."""
    events = await read_all(example.kafka, OUTCOMES_OBSERVED.name)
    return {OutcomeObserved.FromString(event.data).request_key for event in events}


async def test_the_commands(example: Example, go_tools: dict[str, str]) -> None:
    scoring, ready = blocks("Shell", "bash")
    told = run(example, go_tools, "bash", "-euc", example.here(scoring))
    assert re.search(r'"prediction_id":\s+"my-first"|"predictionId":\s+"my-first"', told), told
    assert re.search(r'"status":\s+"SERVING"', told), told
    run(example, go_tools, "bash", "-euc", example.here(ready))
    assert "my-first" in await reported(example)


async def test_the_program_in_python(example: Example) -> None:
    (program,) = blocks("Python", "python")
    told = run(example, dict(os.environ), sys.executable, "-c", example.here(program))
    (prediction_id,) = re.findall(r"^0\.5 \S+ ([0-9a-f]{32})$", told, re.MULTILINE)
    assert prediction_id in await reported(example)


async def test_the_program_in_go(example: Example, go_tools: dict[str, str]) -> None:
    (commands,) = blocks("Go", "bash")
    told = run(example, go_tools, "bash", "-euc", example.here(commands))
    found = re.search(r"^0\.500 from \S+ \(champion\), prediction (\S+)$", told, re.MULTILINE)
    assert found is not None, told
    assert "reported: arrived_late = 1" in told
    assert found[1] in await reported(example)
