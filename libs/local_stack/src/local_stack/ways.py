"""Three ways to a Kafka and a Valkey: addresses that were given, processes of this machine, containers."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from local_stack.addresses import Addresses
from local_stack.containers import ContainerStack
from local_stack.errors import (
    FolderInUseError,
    NothingStartedError,
    PortInUseError,
    StackError,
    UnreachableError,
)
from local_stack.options import KafkaOptions, ValkeyOptions
from local_stack.probes import NotReadyError, ask_kafka, ask_valkey, without_password
from local_stack.progress import ConsoleProgress
from local_stack.settings import Backend, StackSettings
from local_stack.stack import LocalStack

_GIVEN = "addresses given"
_PROCESSES = "processes of this machine"
_CONTAINERS = "containers"
_KAFKA = KafkaOptions()
_VALKEY = ValkeyOptions()

Way = Callable[[], AbstractAsyncContextManager[LocalStack | ContainerStack]]


@asynccontextmanager
async def open_stack(
    folder: Path,
    *,
    kafka: KafkaOptions | None = _KAFKA,
    valkey: ValkeyOptions | None = _VALKEY,
    settings: StackSettings | None = None,
    progress: ConsoleProgress | None = None,
) -> AsyncIterator[Addresses]:
    """Have a Kafka and a Valkey for the length of the block, in the way that the environment asks for.

    An address in KAFKA_BOOTSTRAP_SERVERS or REDIS_URL is used once it has answered, and nothing is started
    for it. The rest runs as processes on `folder`; in containers when TIDEMARK_STACK_BACKEND=testcontainers,
    or when processes can't run here and a Docker engine answers.

    Raises:
        NothingStartedError: No way worked; says why each did not.
        PortInUseError: A port that the options fix is taken.
        FolderInUseError: Another stack uses the folder.
    """
    settings = settings or StackSettings()
    given = Addresses(
        None if kafka is None else settings.kafka_bootstrap_servers,
        None if valkey is None else settings.redis_url,
    )
    await _verify_or_give_up(given)
    kafka = None if given.kafka_bootstrap else kafka
    valkey = None if given.redis_url else valkey
    async with AsyncExitStack() as opened:
        if kafka is None and valkey is None:
            yield given
            return
        stack = await _first_that_works(
            opened,
            settings.backend,
            {
                _PROCESSES: lambda: LocalStack(
                    folder, kafka=kafka, valkey=valkey, settings=settings, progress=progress
                ),
                _CONTAINERS: lambda: ContainerStack(kafka, valkey),
            },
        )
        yield given.or_else(stack.addresses)


async def verify(given: Addresses) -> None:
    """Return when the addresses have answered.

    Raises:
        UnreachableError: One does not.
    """
    try:
        if given.kafka_bootstrap is not None:
            await ask_kafka(given.kafka_bootstrap)
    except NotReadyError as error:
        raise UnreachableError("KAFKA_BOOTSTRAP_SERVERS", given.kafka_bootstrap or "", str(error)) from error
    try:
        if given.redis_url is not None:
            await ask_valkey(given.redis_url)
    except NotReadyError as error:
        shown = without_password(given.redis_url or "")
        raise UnreachableError("REDIS_URL", shown, str(error)) from error


async def _verify_or_give_up(given: Addresses) -> None:
    try:
        await verify(given)
    except UnreachableError as error:
        not_tried = "not tried, because an address was given"
        raise NothingStartedError(
            {_GIVEN: str(error), _PROCESSES: not_tried, _CONTAINERS: not_tried}
        ) from error


async def _first_that_works(
    opened: AsyncExitStack, backend: Backend, ways: Mapping[str, Way]
) -> LocalStack | ContainerStack:
    excluded = {Backend.PROCESSES: _CONTAINERS, Backend.TESTCONTAINERS: _PROCESSES}.get(backend)
    reasons = {_GIVEN: "KAFKA_BOOTSTRAP_SERVERS or REDIS_URL, or both, are not set"}
    for name, way in ways.items():
        if name == excluded:
            reasons[name] = f"not tried, because TIDEMARK_STACK_BACKEND={backend}"
            continue
        try:
            return await opened.enter_async_context(way())
        except (PortInUseError, FolderInUseError):
            raise  # the user's choice of a port or a folder: another way would not be what was asked for
        except (StackError, OSError) as error:
            reasons[name] = str(error)
    raise NothingStartedError(reasons)
