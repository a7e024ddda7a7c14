"""A real Kafka and a real Valkey on a machine with nothing but Python."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local_stack.addresses import Addresses
    from local_stack.detached import bring_up, take_down
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
    from local_stack.status import StackStatus, look_at
    from local_stack.valkey import ValkeyServers
    from local_stack.ways import open_stack

__all__ = [
    "Addresses",
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
    "StackStatus",
    "UnreachableError",
    "ValkeyOptions",
    "ValkeyServers",
    "bring_up",
    "look_at",
    "open_stack",
    "take_down",
]

_HOMES = {
    "Addresses": "addresses",
    "Backend": "settings",
    "DownloadError": "errors",
    "FolderInUseError": "errors",
    "KafkaOptions": "options",
    "LocalStack": "stack",
    "NothingStartedError": "errors",
    "PortInUseError": "errors",
    "Server": "servers",
    "ServerExitedError": "errors",
    "ServerNotReadyError": "errors",
    "StackError": "errors",
    "StackSettings": "settings",
    "StackStatus": "status",
    "UnreachableError": "errors",
    "ValkeyOptions": "options",
    "ValkeyServers": "valkey",
    "bring_up": "detached",
    "look_at": "status",
    "open_stack": "ways",
    "take_down": "detached",
}


def __getattr__(name: str) -> Any:
    """Import a name's module when the name is first used.

    The clients of Kafka and Redis take a second to import. A `--help`, and the guardian that every stack
    starts, must not pay for them.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"local_stack.{_HOMES[name]}"), name)
