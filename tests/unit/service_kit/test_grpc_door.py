"""What a gRPC server takes, and what it does not."""

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from service_kit.grpc_door import GrpcDoor


async def test_what_comes_compressed_is_refused_before_it_is_inflated() -> None:
    door = GrpcDoor("127.0.0.1:0", [], setting="GRPC_PORT")
    port = await door.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        health = HealthStub(channel)
        await health.Check(HealthCheckRequest())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.Check(HealthCheckRequest(service="small"), compression=grpc.Compression.Gzip)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await door.stop(0)
