"""What every gRPC server has: bounded messages, health, reflection, a port of its own and a graceful stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection, reflection_pb2

from service_kit.http import PortTaken

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
_NO_COMPRESSION: Final = 1
"""What comes compressed is refused with UNIMPLEMENTED: gRPC inflates it whole before it looks at its size, so
that 1.5 MB would take 1.5 GB."""
_REFLECTION: Final = "grpc.reflection.v1.ServerReflection"
_HEALTH: Final = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class GrpcDoor:
    """A server to which servicers are added before it starts.

    Args:
        address: host:port to listen on; port 0 for a free one.
        services: Full names of the services behind it: for health and reflection.
        setting: Which environment variable says the port, for whoever finds it taken.
        interceptors: As gRPC takes them.
        options: Channel arguments beside the bounds of messages.

    Attributes:
        server: What servicers are added to.
    """

    def __init__(
        self,
        address: str,
        services: Sequence[str],
        *,
        setting: str,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        options: Sequence[tuple[str, int]] = (),
    ) -> None:
        bounds = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.compression_enabled_algorithms_bitset", _NO_COMPRESSION),
        ]
        self.server = grpc.aio.server(interceptors=list(interceptors), options=[*bounds, *options])
        self._address = address
        self._services = tuple(services)
        self._setting = setting
        self._health = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.server)
        self._reflect([*self._services, _HEALTH, reflection.SERVICE_NAME])

    def _reflect(self, services: Sequence[str]) -> None:
        """Describe services, also to who asks by reflection's final name: its messages are the same bytes."""
        reflection.enable_server_reflection(services, self.server)
        behave = grpc.stream_stream_rpc_method_handler(
            reflection.aio.ReflectionServicer(services).ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        handlers = {"ServerReflectionInfo": behave}
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_REFLECTION, handlers)])

    async def start(self) -> int:
        """Listen, not yet serving as far as health says; gives the port.

        Raises:
            PortTaken: The port is in use.
        """
        await self.set_serving(serving=False)
        try:
            port = self.server.add_insecure_port(self._address)
        except RuntimeError as error:
            told = f"{self._address} cannot be used: set {self._setting}=0 or another ({error})"
            raise PortTaken(told) from error
        await self.server.start()
        return port

    async def set_serving(self, *, serving: bool) -> None:
        """Say over the health service whether to send requests here."""
        known = health_pb2.HealthCheckResponse
        for name in ("", *self._services):
            await self._health.set(name, known.SERVING if serving else known.NOT_SERVING)

    async def say_leaving(self) -> None:
        """Say NOT_SERVING for good, and serve on."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_s: float) -> None:
        """Take no more requests, and give those in hand so long to end."""
        await self.say_leaving()
        await self.server.stop(grace_s)
