"""What can be seen of a stack from outside: which servers it has, which run, which answer."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

import psutil

from local_stack.addresses import Addresses
from local_stack.folder import Owner, StackFolder
from local_stack.ports import HOST
from local_stack.probes import NotReadyError, ask_kafka, ask_valkey
from local_stack.servers import remembered_ports

_KAFKA = "kafka"


class State(StrEnum):
    """How a stack is, as a whole."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """How one server is; `pid` is None when it does not run, `problem` when it answers its protocol."""

    name: str
    address: str
    pid: int | None
    log: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class StackStatus:
    """How a stack is.

    Attributes:
        folder: Where it is.
        owner: Who started it last; None when nobody did.
        servers: Its servers.
        given: Addresses that the environment gave, for which it has no server.
    """

    folder: Path
    owner: Owner | None
    servers: tuple[ServerStatus, ...]
    given: Addresses = field(default_factory=Addresses)

    @property
    def state(self) -> State:
        """UP when every server answers, DOWN when none runs."""
        if self.servers and all(server.problem is None for server in self.servers):
            return State.UP
        return State.DEGRADED if any(server.pid for server in self.servers) else State.DOWN

    @property
    def addresses(self) -> Addresses:
        """Where its servers answer, or would."""
        kafka = [server.address for server in self.servers if server.name == _KAFKA]
        valkey = [server.address for server in self.servers if server.name != _KAFKA]
        return Addresses(
            kafka[0] if kafka and kafka[0] else None,
            f"redis://{valkey[0]}/0" if valkey and valkey[0] else None,
        )

    def environment(self) -> dict[str, str]:
        """Return what a service's environment must say to use it; nothing about what does not run."""
        own = Addresses() if self.state is State.DOWN else self.addresses
        return self.given.or_else(own).environment()

    def as_json(self) -> dict[str, object]:
        """Return it as what `--json` prints."""
        return {
            "folder": str(self.folder),
            "state": self.state,
            "owner": None if self.owner is None else asdict(self.owner),
            "servers": [asdict(server) for server in self.servers],
            "given": self.given.environment(),
            "environment": self.environment(),
        }


async def look_at(folder: Path) -> StackStatus:
    """Find out how the stack in a folder is, by asking each server in its protocol."""
    stack = StackFolder(folder)
    owner = stack.owner()
    running = stack.running()
    names = owner.servers if owner is not None else tuple(sorted(running))
    servers = [await _look_at_server(stack.path / name, running.get(name)) for name in names]
    return StackStatus(stack.path, owner, tuple(servers))


async def _look_at_server(home: Path, process: psutil.Process | None) -> ServerStatus:
    ports = remembered_ports(home)
    address = f"{HOST}:{ports[0]}" if ports else ""
    problem = "does not run" if process is None else await _problem(home.name, address)
    pid = None if process is None else process.pid
    return ServerStatus(home.name, address, pid, str(home / f"{home.name}.log"), problem)


async def _problem(name: str, address: str) -> str | None:
    try:
        if name == _KAFKA:
            await ask_kafka(address)
        else:
            await ask_valkey(f"redis://{address}")
    except NotReadyError as error:
        return str(error)
    return None
