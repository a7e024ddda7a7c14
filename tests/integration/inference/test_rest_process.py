"""A process with REST: its port is its own; a stop answers what is in hand. Neither needs Kafka or Valkey."""

import asyncio
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from inference_kit.process import KIT, Process
from inference_kit.stock import PROJECT
from local_stack.ports import choose

NOWHERE = "127.0.0.1:1"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    (port,) = choose(1, seed=str(tmp_path))
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": NOWHERE,
        "REDIS_URL": f"redis://{NOWHERE}",
        "PYTHONPATH": str(KIT),
        "TIDEMARK_PROJECT": PROJECT,
        "PACKAGES_URI": str(tmp_path),
        "GRPC_HOST": "127.0.0.1",
        "GRPC_PORT": "0",
        "METRICS_PORT": "0",
        "REST_PORT": str(port),
        "LOG_FORMAT": "json",
    }
    process = Process(tmp_path / "inference.log", environment)
    yield process
    process.kill()


async def test_a_rest_port_in_use_is_named_in_one_line(process: Process) -> None:
    port = int(process.environment["REST_PORT"])
    with socket.create_server(("127.0.0.1", port)):
        process.start()
        assert await process.ended() == 1
    assert f"127.0.0.1:{port} cannot be used" in process.output()
    assert "set REST_PORT=0 or another" in process.output()
    assert "Traceback" not in process.output()


async def test_a_stop_reads_and_answers_the_request_that_is_in_hand(process: Process) -> None:
    process.start()
    await process.says(re.compile("rest listening"))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(process.environment["REST_PORT"]))
    writer.write(b"POST /v2/models/returns/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{")
    await writer.drain()
    stopping = asyncio.create_task(asyncio.to_thread(process.stop))
    await process.says(re.compile('"event": "stopping"'))
    writer.write(b"}")
    answer = await reader.read()
    writer.close()
    # No route was read: there is no Kafka.
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"routes have not been read yet" in answer
    assert await stopping == 0
