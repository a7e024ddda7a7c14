"""How the servers of a stack are set up; the defaults suit two cores and a few hundred megabytes."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class KafkaOptions:
    """One Kafka broker that is its own controller (KRaft combined mode).

    Attributes:
        port: Where the broker listens on 127.0.0.1; a free one when None.
        heap_mb: Most that the JVM's heap takes.
        message_max_bytes: Largest record batch that the broker accepts.
        properties: Further broker settings; they win over the ones chosen here.
        start_deadline_seconds: How long the broker may take to answer.
    """

    port: int | None = None
    heap_mb: int = 512
    message_max_bytes: int = 1024 * 1024
    properties: dict[str, str] = field(default_factory=dict)
    start_deadline_seconds: float = 90.0


@dataclass(frozen=True, slots=True)
class ValkeyOptions:
    """One Valkey, or a cluster of three masters that share the slots.

    Attributes:
        nodes: 1 for a plain server, 3 for a cluster. port: Where a single node listens on 127.0.0.1; a free
        one when None. durable: Whether every write reaches the append-only file before it is answered, so
        that kill -9 loses nothing. settings: Further lines of valkey.conf; they win over the ones chosen
        here. start_deadline_seconds: How long a node, and then the cluster, may take to answer.
    """

    nodes: Literal[1, 3] = 1
    port: int | None = None
    durable: bool = True
    settings: dict[str, str] = field(default_factory=dict)
    start_deadline_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.nodes not in (1, 3):
            raise ValueError(f"ValkeyOptions.nodes is {self.nodes}; write 1 for a server or 3 for a cluster")
        if self.nodes == 3 and self.port is not None:
            raise ValueError("ValkeyOptions.port fixes the port of a single node; leave it out for a cluster")
