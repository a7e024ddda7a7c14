"""Kafka's jars: pinned by digest in `kafka.lock`, fetched once from Maven Central into a shared cache.

What Kafka depends on was resolved when the lock was made (`make_kafka_lock.py`), so nothing is resolved here
and nothing can change. A jar appears in the cache only when it is whole and is the pinned one.
"""

import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from typing import Protocol
from urllib.error import HTTPError
from urllib.request import urlopen

from filelock import FileLock

from local_stack.errors import DownloadError

_PARALLEL_DOWNLOADS = 4
_TIMEOUT_SECONDS = 30
_RETRY_AFTER_SECONDS = (0.2, 1.0)


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def path(self) -> str:
        """Where a Maven repository keeps it."""
        folder = f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}"
        return f"{folder}/{self.artifact}-{self.version}.jar"


class Progress(Protocol):
    """Shown what a download does."""

    def downloading(self, what: str, files: int) -> AbstractContextManager["Progress"]:
        """Begin a download of so many files."""
        ...

    def fetched(self, name: str, size_bytes: int) -> None:
        """Say that one more file is there."""
        ...


def maven_central() -> str:
    """Say where Maven Central is, as jgo knows it."""
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415 - a third of a second, for a first start only

    return str(MAVEN_CENTRAL_URL)


def pinned_jars() -> list[Jar]:
    """Read the lock: one `group:artifact:version sha256` a line."""
    return list(_parse(files("local_stack").joinpath("kafka.lock").read_text()))


def _parse(text: str) -> Iterator[Jar]:
    for line in text.splitlines():
        if line and not line.startswith("#"):
            coordinate, sha256 = line.split()
            group, artifact, version = coordinate.split(":")
            yield Jar(group, artifact, version, sha256)


def fetch_classpath(
    cache: Path, maven_url: str | None, progress: Progress, jars: Sequence[Jar]
) -> list[Path]:
    """Return the paths of the jars, fetching those that the cache has not.

    Safe to call from several processes at once: one downloads, the others wait for it.

    Raises:
        DownloadError: A jar could not be fetched, or is not the pinned one.
    """
    repository = cache / "maven"
    repository.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "maven.lock"):
        missing = [jar for jar in jars if not (repository / jar.path).exists()]
        if missing:
            _fetch_all(missing, repository, maven_url or maven_central(), progress)
    return [repository / jar.path for jar in jars]


def _fetch_all(jars: Sequence[Jar], repository: Path, maven_url: str, progress: Progress) -> None:
    with (
        progress.downloading("Apache Kafka", len(jars)) as shown,
        ThreadPoolExecutor(_PARALLEL_DOWNLOADS, "kafka-jars") as pool,
    ):
        results = [pool.submit(_fetch, jar, repository, maven_url) for jar in jars]
        try:
            for result in results:
                path = result.result()
                shown.fetched(path.name, path.stat().st_size)
        finally:
            pool.shutdown(cancel_futures=True)


def _fetch(jar: Jar, repository: Path, maven_url: str) -> Path:
    url = f"{maven_url.rstrip('/')}/{jar.path}"
    target = repository / jar.path
    beside = target.with_suffix(".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    _download(url, beside)
    with beside.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != jar.sha256:
        beside.unlink()
        raise DownloadError(
            f"{url} is not the file that Tidemark pins: its SHA-256 is {digest}, not {jar.sha256}. "
            "It was not kept; try again. If it stays so, that repository serves another file."
        )
    return beside.replace(target)


def _download(url: str, target: Path) -> None:
    for pause_seconds in (*_RETRY_AFTER_SECONDS, None):
        try:
            return _download_once(url, target)
        except (OSError, HTTPException) as error:
            is_final = isinstance(error, HTTPError) and error.code < 500
            if is_final or pause_seconds is None:
                raise DownloadError(_explain(url, error)) from error
            time.sleep(pause_seconds)
    return None


def _download_once(url: str, target: Path) -> None:
    try:
        with (
            urlopen(url, timeout=_TIMEOUT_SECONDS) as answer,  # noqa: S310 - the settings allow http(s) alone
            target.open("wb") as file,
        ):
            shutil.copyfileobj(answer, file)
            if answer.length:
                raise ConnectionError(f"the connection broke off {answer.length} bytes before the end")
    except HTTPError as error:
        error.close()
        raise


def _explain(url: str, error: Exception) -> str:
    return (
        f"Could not fetch {url}: {error}. "
        "Kafka's jars are downloaded once (43 MB). Check the network or the proxy (HTTPS_PROXY), "
        "name a mirror of Maven Central in TIDEMARK_MAVEN_URL, "
        "or point KAFKA_BOOTSTRAP_SERVERS at a broker that runs."
    )
