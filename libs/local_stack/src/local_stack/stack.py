"""A Kafka and a Valkey as processes of this machine, owned by whoever started them."""

import asyncio
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from local_stack import guardian, processes
from local_stack.errors import FolderInUseError, StackError
from local_stack.folder import Owner, StackFolder
from local_stack.kafka import KafkaRecipe
from local_stack.kafka_jars import fetch_classpath
from local_stack.options import KafkaOptions, ValkeyOptions
from local_stack.progress import ConsoleProgress
from local_stack.servers import Server
from local_stack.settings import StackSettings
from local_stack.valkey import ValkeyServers


class LocalStack:
    """A real Kafka and a real Valkey whose data, logs and configuration are in one folder.

    As a context manager (`async with`, or `with` outside an event loop) the servers end with the block, and with the process however
    it ends. `start(detached=True)` leaves them running. A folder used before starts with the data it had, on the same ports where free.

    Attributes:
        kafka: The broker, for tests that stop, kill, pause and start it; None when the stack has none.
        valkey: The Valkey node or nodes, likewise.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kafka: KafkaOptions | None = KafkaOptions(),  # noqa: B008 - frozen
        valkey: ValkeyOptions | None = ValkeyOptions(),  # noqa: B008 - frozen
        settings: StackSettings | None = None,
        progress: ConsoleProgress | None = None,
    ) -> None:
        self._folder = StackFolder(folder)
        self._settings = settings or StackSettings()
        self._progress = progress or ConsoleProgress()
        self._guardian: psutil.Popen | None = None
        self._kafka = (
            None if kafka is None else Server(KafkaRecipe(kafka, self._classpath()), self._folder.path)
        )
        self._valkey = None if valkey is None else ValkeyServers(valkey, self._folder.path)

    @property
    def folder(self) -> Path:
        """The folder with everything of the stack; a server's log is `<folder>/<server>/<server>.log`."""
        return self._folder.path

    @property
    def kafka(self) -> Server:
        """The broker."""
        if self._kafka is None:
            raise StackError("this stack was made without a Kafka (kafka=None)")
        return self._kafka

    @property
    def valkey(self) -> ValkeyServers:
        """The Valkey node or nodes."""
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

    def environment(self) -> dict[str, str]:
        """Return what a service's environment must say to use this stack."""
        environment = {}
        if self._kafka is not None:
            environment["KAFKA_BOOTSTRAP_SERVERS"] = self.kafka_bootstrap
        if self._valkey is not None:
            environment["REDIS_URL"] = self.redis_url
        return environment

    async def start(self, *, detached: bool = False) -> None:
        """Start the servers and return when they answer.

        Args:
            detached: Leave them running when this process ends; a detached stack that runs already is taken over.

        Raises:
            FolderInUseError: Another process, or a detached stack, uses the folder.
            StackError: A server could not be started; nothing is left running.
        """
        await asyncio.to_thread(self._folder.acquire)
        try:
            await asyncio.to_thread(self._take_over_or_clear, detached=detached)
            nodes = 0 if self._valkey is None else len(self._valkey.nodes)
            me = psutil.Process().pid
            self._folder.write_owner(Owner(me, detached, kafka=self._kafka is not None, valkey_nodes=nodes))
            if not detached:
                self._guardian = guardian.appoint(self.folder)
            await self._start_servers()
        except BaseException:
            self._end()
            raise
        if detached:
            self._folder.release()

    async def stop(self) -> None:
        """End the servers cleanly and give the folder back; the data stays."""
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

    async def _start_servers(self) -> None:
        try:
            async with asyncio.TaskGroup() as starting:
                for server in (self._kafka, self._valkey):
                    if server is not None:
                        starting.create_task(server.start())
        except BaseExceptionGroup as group:
            raise _first(group) from group

    def _take_over_or_clear(self, *, detached: bool) -> None:
        found = self._folder.running()
        if not found:
            return
        owner = self._folder.owner()
        if owner is None or not owner.detached:
            self._progress.notice(
                f"A stack in {self.folder} was left running by a process that is gone ({', '.join(sorted(found))}); stopping it first"
            )
            processes.stop_all(list(found.values()))
        elif detached:
            self._adopt(found)
        else:
            raise FolderInUseError(
                self.folder,
                "a stack started with `tidemark stack up`",
                "Stop it with `tidemark stack down`, use another folder, or use its addresses (`tidemark stack status`).",
            )

    def _adopt(self, found: dict[str, psutil.Process]) -> None:
        for server in self._servers():
            if server.name in found:
                server.adopt(found[server.name])

    def _end(self) -> None:
        ours = [server.process for server in self._servers() if server.process is not None]
        known = {process.pid for process in ours}
        half_started = [process for process in self._folder.running().values() if process.pid not in known]
        processes.stop_all([*ours, *half_started])
        if self._guardian is not None:
            processes.stop_all([self._guardian])
            self._guardian = None
        self._folder.release()

    def _servers(self) -> list[Server]:
        servers = [] if self._kafka is None else [self._kafka]
        return servers if self._valkey is None else [*servers, *self._valkey.nodes]

    def _classpath(self) -> "cache[list[Path]]":
        return cache(
            lambda: fetch_classpath(self._settings.cache_folder, self._settings.maven_url, self._progress)
        )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
