"""A stack that outlives the command that started it: what `tidemark stack up` and `down` do."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

from local_stack import processes
from local_stack.addresses import Addresses
from local_stack.errors import StackError
from local_stack.folder import StackFolder
from local_stack.options import KafkaOptions, ValkeyOptions
from local_stack.progress import ConsoleProgress
from local_stack.settings import StackSettings
from local_stack.stack import LocalStack
from local_stack.status import StackStatus, look_at
from local_stack.ways import verify


async def bring_up(
    folder: Path,
    kafka: KafkaOptions,
    valkey: ValkeyOptions,
    *,
    settings: StackSettings | None = None,
    progress: ConsoleProgress | None = None,
) -> StackStatus:
    """Start what does not run yet, and leave it running.

    A server whose address the environment gives is not started, unless the address is this very stack's:
    whoever exported it would else never get the stack up again.

    Raises:
        UnreachableError: An address that the environment gives does not answer.
        StackError: A server could not be started.
    """
    settings = settings or StackSettings()
    own = (await look_at(folder)).addresses
    given = Addresses(
        None if settings.kafka_bootstrap_servers == own.kafka_bootstrap else settings.kafka_bootstrap_servers,
        None if settings.redis_url == own.redis_url else settings.redis_url,
    )
    await verify(given)
    if given.kafka_bootstrap is None or given.redis_url is None:
        stack = LocalStack(
            folder,
            kafka=kafka if given.kafka_bootstrap is None else None,
            valkey=valkey if given.redis_url is None else None,
            settings=settings,
            progress=progress,
        )
        await stack.start(detached=True)
    return replace(await look_at(folder), given=given)


async def take_down(folder: Path, *, delete_data: bool = False) -> StackStatus:
    """Stop every server that runs on the folder, and delete the folder if asked. Nothing to stop is fine.

    Raises:
        FolderInUseError: A living process owns the servers.
        StackError: The folder to delete is not a stack's.
    """
    stack = StackFolder(folder)
    if stack.path.exists():
        await asyncio.to_thread(_take_down, stack, delete_data=delete_data)
    return await look_at(folder)


def _take_down(stack: StackFolder, *, delete_data: bool) -> None:
    if delete_data and stack.owner() is None:
        raise StackError(f"{stack.path} is not the folder of a stack; nothing was stopped or deleted")
    stack.acquire()
    try:
        with stack.changing_hands():
            processes.stop_all(list(stack.running().values()))
        if delete_data:
            shutil.rmtree(stack.path)
    finally:
        stack.release()
