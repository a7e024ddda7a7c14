"""A real Kafka and a real Valkey on a machine with nothing but Python."""

from local_stack.errors import (
    DownloadError,
    FolderInUseError,
    NothingStartedError,
    PortInUseError,
    ServerExitedError,
    ServerNotReadyError,
    StackError,
    UnreachableError,
)
from local_stack.options import KafkaOptions, ValkeyOptions
from local_stack.servers import Server
from local_stack.settings import Backend, StackSettings
from local_stack.stack import LocalStack
from local_stack.valkey import ValkeyServers

__all__ = [
    "Backend",
    "DownloadError",
    "FolderInUseError",
    "KafkaOptions",
    "LocalStack",
    "NothingStartedError",
    "PortInUseError",
    "Server",
    "ServerExitedError",
    "ServerNotReadyError",
    "StackError",
    "StackSettings",
    "UnreachableError",
    "ValkeyOptions",
    "ValkeyServers",
]
