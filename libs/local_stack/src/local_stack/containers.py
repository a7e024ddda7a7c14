"""A Kafka and a Valkey in containers, through testcontainers, where a Docker engine answers."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from local_stack.addresses import Addresses
from local_stack.errors import StackError
from local_stack.kafka import broker_properties
from local_stack.options import KafkaOptions, ValkeyOptions
from local_stack.ports import HOST, choose
from local_stack.probes import NotReadyError, answer_within, ask_kafka, ask_valkey
from local_stack.valkey import node_settings

KAFKA_IMAGE = "apache/kafka:4.1.0"
VALKEY_IMAGE = "valkey/valkey:9"
_BROKER_PORT, _CONTROLLER_PORT, _VALKEY_PORT = 9092, 9093, 6379


class ContainerStack:
    """A Kafka and a Valkey in containers that end with the block; their data ends with them."""

    def __init__(self, kafka: KafkaOptions | None, valkey: ValkeyOptions | None) -> None:
        self._kafka = kafka
        self._valkey = valkey
        self._containers = ExitStack()
        self.addresses = Addresses()

    async def __aenter__(self) -> Self:
        """Start the containers and return when the servers answer.

        Raises:
            StackError: No Docker engine answers, a container does not start, or what was asked needs
            processes.
        """
        if self._valkey is not None and self._valkey.nodes > 1:
            raise StackError("a Valkey cluster runs as processes only; ask for nodes=1, or set REDIS_URL")
        try:
            self.addresses = await asyncio.to_thread(self._start)
            await self._ready()
        except BaseException:
            await asyncio.to_thread(self._containers.close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._containers.close)

    def _start(self) -> Addresses:
        from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - only those who ask pay for it

        _ask_engine()
        bootstrap = url = None
        try:
            if self._kafka is not None:
                port = self._kafka.port or choose(1, seed=KAFKA_IMAGE)[0]
                container = DockerContainer(KAFKA_IMAGE).with_bind_ports(_BROKER_PORT, port)
                self._containers.enter_context(container.with_envs(**kafka_environment(self._kafka, port)))
                bootstrap = f"{HOST}:{port}"
            if self._valkey is not None:
                port = self._valkey.port or choose(1, seed=VALKEY_IMAGE)[0]
                container = DockerContainer(VALKEY_IMAGE).with_bind_ports(_VALKEY_PORT, port)
                self._containers.enter_context(container.with_command(valkey_command(self._valkey)))
                url = f"redis://{HOST}:{port}/0"
        except Exception as error:  # docker's and testcontainers' errors have no common base of their own
            raise StackError(f"a container did not start: {error}") from error
        return Addresses(bootstrap, url)

    async def _ready(self) -> None:
        try:
            if self._kafka is not None and (bootstrap := self.addresses.kafka_bootstrap):
                await answer_within(
                    self._kafka.start_deadline_seconds, lambda: ask_kafka(bootstrap, coordinators=True)
                )
            if self._valkey is not None and (url := self.addresses.redis_url):
                await answer_within(self._valkey.start_deadline_seconds, lambda: ask_valkey(url))
        except NotReadyError as error:
            raise StackError(f"a container's server is not ready: {error}") from error


def kafka_environment(options: KafkaOptions, host_port: int) -> dict[str, str]:
    """Turn the broker's settings into the image's environment, advertising a port of the host."""
    inside = (_BROKER_PORT, _CONTROLLER_PORT)
    properties = broker_properties(options, Path("/tmp/kafka"), inside) | {  # noqa: S108 - inside the container
        "listeners": f"BROKER://:{_BROKER_PORT},CONTROLLER://:{_CONTROLLER_PORT}",
        "advertised.listeners": f"BROKER://{HOST}:{host_port}",
    }
    named = {f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in properties.items()}
    return named | {"KAFKA_HEAP_OPTS": f"-Xmx{options.heap_mb}m"}


def valkey_command(options: ValkeyOptions) -> list[str]:
    """Turn the node's settings into the arguments of the image's server."""
    settings = node_settings(options, Path("/data"), [_VALKEY_PORT]) | {"bind": "*"}
    arguments = [(f"--{name}", value.strip('"')) for name, value in settings.items()]
    return ["valkey-server", "--protected-mode", "no", *(part for pair in arguments for part in pair)]


def _ask_engine() -> None:
    from testcontainers.core.docker_client import DockerClient  # noqa: PLC0415 - only those who ask pay for it

    try:
        DockerClient().client.ping()
    except Exception as error:  # docker's and requests' errors have no common base of their own
        raise StackError(f"no Docker engine answers: {error}") from error
