"""Puts the scripted server where tests find it, and gives both clients one face."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "kit"))

from collections.abc import Iterator

import pytest
from client_kit.servers import ScriptedServer


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server
