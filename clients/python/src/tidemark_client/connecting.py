"""Where a client connects to, and how."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Metadata = tuple[tuple[str, str], ...]

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""The servers refuse more."""
_ROUND_ROBIN: Final = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})


@dataclass(frozen=True, slots=True)
class Tls:
    """An encrypted connection.

    Attributes:
        root_certificates: PEM of whom to trust; the system's own when left out.
        private_key: PEM, with `certificate_chain`, where the server asks who calls.
        server_name: The name in the server's certificate, where it is not the address's.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = None
    certificate_chain: bytes | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.private_key is None) != (self.certificate_chain is None):
            raise ValueError("private_key and certificate_chain belong together: give both or neither")

    @property
    def credentials(self) -> grpc.ChannelCredentials:
        """For gRPC."""
        return grpc.ssl_channel_credentials(self.root_certificates, self.private_key, self.certificate_chain)


@dataclass(frozen=True, slots=True)
class Connection:
    """How a client connects.

    Attributes:
        tls: None for a connection in the clear.
        metadata: Called before each attempt for headers to send, e.g. a token, or the caller's `traceparent`.
        keepalive_s: While calls wait, the server is asked so often whether it is there; 0 never asks.
        keepalive_timeout_s: A server that is silent for so long then is taken for gone.
        longest_reconnect_s: A server that cannot be reached is tried again at least so often.
    """

    tls: Tls | None = None
    metadata: Callable[[], Metadata] | None = None
    keepalive_s: float = 30
    keepalive_timeout_s: float = 5
    longest_reconnect_s: float = 2

    @property
    def options(self) -> list[tuple[str, Any]]:
        """As gRPC names it."""
        chosen: list[tuple[str, Any]] = [
            ("grpc.primary_user_agent", f"tidemark-client-python/{_version()}"),
            ("grpc.service_config", _ROUND_ROBIN),
            ("grpc.enable_retries", 0),  # this client's budget is the only one
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 2_000),  # how long an attempt to connect may take
            ("grpc.max_reconnect_backoff_ms", int(self.longest_reconnect_s * 1000)),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ]
        if self.keepalive_s:
            chosen += [
                ("grpc.keepalive_time_ms", int(self.keepalive_s * 1000)),
                ("grpc.keepalive_timeout_ms", int(self.keepalive_timeout_s * 1000)),
            ]
        if self.tls is not None and self.tls.server_name is not None:
            chosen.append(("grpc.ssl_target_name_override", self.tls.server_name))
        return chosen


def target_of(address: str | Sequence[str]) -> str:
    """Return gRPC's target of one or several servers, over which calls go in turn.

    Args:
        address: host:port; a name stands for every address that it resolves to. Or a list of ip:port.

    Raises:
        ValueError: There is none, or several of which one is a name: only addresses can be listed.
    """
    addresses = [address] if isinstance(address, str) else list(address)
    if not addresses or not all(addresses):
        raise ValueError("no address: give host:port, or a list of ip:port")
    for one in addresses:
        _demand_port(one)
    if len(addresses) == 1:
        return addresses[0]
    families = {_family(one) for one in addresses}
    if len(families) > 1 or families == {None}:
        raise ValueError(
            f"{', '.join(addresses)}: several servers are given by IP addresses of one family, or by one name"
            " that resolves to all of them"
        )
    return f"{families.pop()}:{','.join(addresses)}"


def _demand_port(address: str) -> None:
    """Refuse what gRPC would resolve as something else, or reach at port 443.

    Raises:
        ValueError: It is a URL, or has no port.
    """
    if address.partition("://")[0] in {"http", "https", "grpc", "grpcs"}:
        raise ValueError(f"{address} is a URL: give host:port")
    host, colon, port = address.rpartition(":")
    is_name = not host.startswith(("unix", "xds", "vsock")) and not address.startswith("unix:")
    if is_name and (not colon or not port.isdigit()):
        raise ValueError(f"{address} has no port: give host:port")


def _family(address: str) -> str | None:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return f"ipv{ipaddress.ip_address(host).version}"
    except ValueError:
        return None


def _version() -> str:
    try:
        return version("tidemark-client")
    except PackageNotFoundError:
        return "unknown"
