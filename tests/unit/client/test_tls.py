"""Encrypted connections. The certificate in the kit is its own authority, for tidemark.test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import client_kit
import grpc
import pytest
from client_kit.faces import FACES
from client_kit.servers import ScriptedServer
from tidemark_client import Connection, NotReady, Retries, Tls

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(client_kit.__file__).parent
CERTIFICATE, KEY = (FOLDER / "server.pem").read_bytes(), (FOLDER / "server.key").read_bytes()
ONCE = Retries(most_attempts=1)


@pytest.fixture
def secured() -> Iterator[ScriptedServer]:
    with ScriptedServer(credentials=grpc.ssl_server_credentials([(KEY, CERTIFICATE)])) as server:
        yield server


@pytest.mark.parametrize("face", FACES.values(), ids=FACES)
async def test_a_server_is_trusted_by_its_root_certificate_and_name(
    face: Any, secured: ScriptedServer
) -> None:
    trusting = Connection(tls=Tls(root_certificates=CERTIFICATE, server_name="tidemark.test"))
    client = face(secured.address, connection=trusting, timeout_s=5)
    assert (await client.score("m", context={"x": 1.0})).score == 1.0
    await client.close()


@pytest.mark.parametrize(
    "connection",
    [
        Connection(tls=Tls(root_certificates=CERTIFICATE)),  # but by no such name
        Connection(tls=Tls(server_name="tidemark.test")),  # whose issuer nobody knows
        Connection(),  # in the clear
    ],
)
async def test_a_server_that_is_not_trusted_gets_no_request(
    connection: Connection, secured: ScriptedServer
) -> None:
    client = FACES["async"](secured.address, connection=connection, timeout_s=5, retries=ONCE)
    with pytest.raises(NotReady):
        await client.score("m", context={"x": 1.0})
    assert secured.attempts == []
    await client.close()
