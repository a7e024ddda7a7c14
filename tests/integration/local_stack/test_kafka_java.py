"""The archive of loaded classes that quickens Kafka's start."""

import sys
from collections.abc import Awaitable, Callable
from io import StringIO
from pathlib import Path

import psutil
import pytest
from local_stack import LocalStack, StackSettings
from local_stack.kafka_java import KafkaJava
from local_stack.progress import ConsoleProgress
from rich.console import Console

pytestmark = pytest.mark.stack

StartStack = Callable[..., Awaitable[LocalStack]]


async def test_a_broker_runs_from_the_archive_of_a_rehearsal_that_left_nothing_else(
    own_stack: StartStack,
) -> None:
    stack = await own_stack(valkey=None)
    broker = psutil.Process(stack.kafka.pid)
    (archive,) = [part.partition("=")[2] for part in broker.cmdline() if part.startswith("-XX:AOTCache=")]
    assert Path(archive).stat().st_size > 10_000_000
    assert sorted(path.name for path in stack.folder.iterdir() if path.is_dir()) == ["kafka"]
    if sys.platform == "linux":
        assert archive in {mapping.path for mapping in broker.memory_maps()}


async def test_an_archive_that_is_damaged_or_can_not_be_made_is_done_without(
    own_stack: StartStack, tmp_path: Path
) -> None:
    shared = StackSettings()
    await KafkaJava(shared.cache_folder, shared.maven_url, ConsoleProgress())._plain()
    (tmp_path / "maven").symlink_to(shared.cache_folder / "maven")
    settings = StackSettings.model_validate({"cache": tmp_path})
    said = StringIO()
    progress = ConsoleProgress(Console(file=said))
    java = KafkaJava(tmp_path, settings.maven_url, progress)
    java._archive(await java._plain()).write_bytes(b"damaged")

    stack = await own_stack(valkey=None, settings=settings, progress=progress)

    assert stack.kafka.pid is not None
    assert said.getvalue() == ""
