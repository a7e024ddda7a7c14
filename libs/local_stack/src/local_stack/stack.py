"""A Kafka and a Valkey as processes of this machine, owned by whoever started them."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from local_stack import guardian, processes
from local_stack.addresses import Addresses
from local_stack.errors import FolderInUseError, StackError
from local_stack.folder import Owner, StackFolder
from local_stack.kafka import KafkaRecipe
from local_stack.kafka_java import KafkaJava
from local_stack.options import KafkaOptions, ValkeyOptions
from local_stack.progress import ConsoleProgress
from local_stack.servers import Server
from local_stack.settings import StackSettings
from local_stack.valkey import ValkeyServers

_KAFKA = KafkaOptions()
_VALKEY = ValkeyOptions()


class LocalStack:
    """A real Kafka and a real Valkey whose data, logs and configuration are in one folder.

    As a context manager (`async with`, or `with` outside an event loop) the servers end with the block, and
    with this process however it ends. A folder that was used before starts with the data it had, on the same
    ports where they are free. It never looks at KAFKA_BOOTSTRAP_SERVERS or REDIS_URL: `open_stack` does.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kafka: KafkaOptions | None = _KAFKA,
        valkey: ValkeyOptions | None = _VALKEY,
        settings: StackSettings | None = None,
        progress: ConsoleProgress | None = None,
    ) -> None:
        self._folder = StackFolder(folder)
        self._progress = progress or ConsoleProgress()
        self._guardian: psutil.Popen | None = None
        settings = settings or StackSettings()
        java = KafkaJava(settings.cache_folder, settings.maven_url, self._progress)
        self._kafka = None if kafka is None else Server(KafkaRecipe(kafka, java), self._folder.path)
        self._valkey = None if valkey is None else ValkeyServers(valkey, self._folder.path)

    @property
    def folder(self) -> Path:
        """The folder with everything of the stack; a server's log is `<folder>/<server>/<server>.log`."""
        return self._folder.path

    @property
    def kafka(self) -> Server:
        """The broker, for tests that stop, kill, pause and start it."""
        if self._kafka is None:
            raise StackError("this stack was made without a Kafka (kafka=None)")
        return self._kafka

    @property
    def valkey(self) -> ValkeyServers:
        """The Valkey node or nodes, likewise."""
        if self._valkey is None:
            raise StackError("this stack was made without a Valkey (valkey=None)")
        return self._valkey

    @property
    def kafka_bootstrap(self) -> str:
        """The broker's `host:port`."""
        return self.kafka.address

    @property
    def redis_url(self) -> str:
        """The URL of the Valkey node, or of a cluster's first node."""
        return self.valkey.url

    @property
    def addresses(self) -> Addresses:
        """Where what the stack has answers."""
        return Addresses(
            None if self._kafka is None else self.kafka_bootstrap,
            None if self._valkey is None else self.redis_url,
        )

    def environment(self) -> dict[str, str]:
        """Return what a service's environment must say to use this stack."""
        return self.addresses.environment()

    async def start(self, *, detached: bool = False) -> None:
        """Start the servers and return when they answer.

        Args:
            detached: Leave them running when this process ends. Of a detached stack that runs already, what
                is missing is started.

        Raises:
            FolderInUseError: Another process, or a detached stack, uses the folder.
            StackError: A server could not be started; what was started is stopped again.
        """
        if self._folder.is_mine:
            raise StackError(f"the stack in {self.folder} was started already; stop it first")
        self._folder.acquire()
        try:
            taken_over = await asyncio.to_thread(self._take_over, detached=detached)
        except BaseException:
            self._folder.release()
            raise
        try:
            if not detached:
                self._guardian = guardian.appoint(self.folder)
            await self._start_servers()
        except BaseException:
            self._end(but=taken_over)
            raise
        if detached:
            self._folder.release()

    async def stop(self) -> None:
        """End the servers cleanly and give the folder back; the data stays.

        Does nothing to a stack that this object did not start, or started detached: `take_down` ends those.
        """
        await asyncio.shield(asyncio.to_thread(self._end))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        asyncio.run(self.start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _owner(self, *, detached: bool) -> Owner:
        return Owner(psutil.Process().pid, detached, tuple(server.name for server in self._servers()))

    def _servers(self) -> list[Server]:
        servers = [] if self._kafka is None else [self._kafka]
        return servers if self._valkey is None else [*servers, *self._valkey.nodes]

    async def _start_servers(self) -> None:
        try:
            async with asyncio.TaskGroup() as starting:
                for server in (self._kafka, self._valkey):
                    if server is not None:
                        starting.create_task(server.start())
        except BaseExceptionGroup as group:
            raise _first(group) from group

    def _take_over(self, *, detached: bool) -> list[int]:
        """Become the folder's owner; return the ids of servers that ran there and go on."""
        with self._folder.changing_hands():
            adopted = self._settle(self._folder.running(), self._folder.owner(), detached=detached)
            self._folder.write_owner(self._owner(detached=detached))
            return adopted

    def _settle(self, found: dict[str, psutil.Process], owner: Owner | None, *, detached: bool) -> list[int]:
        if found and (owner is None or not owner.detached):
            names = ", ".join(sorted(found))
            self._progress.notice(
                f"{self.folder}: stopping {names}, which a process that is gone left running"
            )
            processes.stop_all(list(found.values()))
            return []
        if found and not detached:
            raise FolderInUseError(
                self.folder,
                "a stack that was started with `tidemark stack up`",
                "Use it (`tidemark stack status`), stop it (`tidemark stack down`), or use another folder.",
            )
        return self._adopt(found)

    def _adopt(self, found: dict[str, psutil.Process]) -> list[int]:
        ours = [server for server in self._servers() if server.name in found]
        for server in ours:
            server.adopt(found[server.name])
        return [found[server.name].pid for server in ours]

    def _end(self, but: Collection[int] = ()) -> None:
        if not self._folder.is_mine:
            return
        started = [server.process for server in self._servers() if server.process is not None]
        known = {process.pid for process in started}
        half_started = [process for process in self._folder.running().values() if process.pid not in known]
        processes.stop_all([process for process in (*started, *half_started) if process.pid not in but])
        if self._guardian is not None:
            processes.stop_all([self._guardian])
            self._guardian = None
        self._folder.release()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
