"""Kafka's jars: pinned by digest in `kafka.lock`, fetched once from Maven Central into a shared cache.

The transitive closure was resolved when the lock was made (see README.md), so nothing is resolved here and
nothing can change. Every file is checked against its digest, because jgo keeps what an interrupted download
left behind as if it were whole.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from local_stack.errors import DownloadError

_PARALLEL_DOWNLOADS = 4
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned jar."""

    group: str
    artifact: str
    version: str
    sha256: str

    def path_in(self, repository: Path) -> Path:
        """Where a Maven repository keeps the jar."""
        folder = repository.joinpath(*self.group.split("."), self.artifact, self.version)
        return folder / f"{self.artifact}-{self.version}.jar"


class Progress(Protocol):
    """Shown what a download does."""

    def downloading(self, what: str, files: int) -> AbstractContextManager["Progress"]:
        """Begin a download of so many files."""
        ...

    def fetched(self, name: str, size_bytes: int) -> None:
        """Say that one more file is there."""
        ...


def pinned_jars(lock: str | None = None) -> list[Jar]:
    """Read the lock: one `group:artifact:version sha256` a line."""
    text = files("local_stack").joinpath("kafka.lock").read_text() if lock is None else lock
    return list(_parse(text))


def _parse(text: str) -> Iterator[Jar]:
    for line in text.splitlines():
        if line and not line.startswith("#"):
            coordinate, sha256 = line.split()
            group, artifact, version = coordinate.split(":")
            yield Jar(group, artifact, version, sha256)


def fetch_classpath(
    cache: Path, maven_url: str, progress: Progress, jars: Sequence[Jar] | None = None
) -> list[Path]:
    """Return the paths of Kafka's jars, fetching those that are missing or damaged.

    Safe to call from several processes at once: one downloads, the others wait for it.

    Raises:
        DownloadError: A jar could not be fetched, or is not the pinned one.
    """
    jars = pinned_jars() if jars is None else jars
    repository = cache / "maven"
    repository.mkdir(parents=True, exist_ok=True)
    paths = [jar.path_in(repository) for jar in jars]
    with FileLock(cache / "maven.lock"):
        missing = [jar for jar in jars if not _is_whole(jar, repository)]
        if missing:
            _fetch_all(missing, repository, maven_url, progress)
    return paths


def _is_whole(jar: Jar, repository: Path) -> bool:
    path = jar.path_in(repository)
    if not path.exists():
        return False
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256:
            return True
    path.unlink()
    return False


def _fetch_all(jars: Sequence[Jar], repository: Path, maven_url: str, progress: Progress) -> None:
    from jgo.maven import MavenContext  # noqa: PLC0415 - 0.3 s that only a first download should pay

    context = MavenContext(repo_cache=repository, remote_repos={"maven": maven_url}, timeout=_TIMEOUT_SECONDS)

    def fetch(jar: Jar) -> Path:
        path: Path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
        return path

    with (
        progress.downloading("Apache Kafka", len(jars)) as shown,
        ThreadPoolExecutor(_PARALLEL_DOWNLOADS, "kafka-jars") as pool,
    ):
        for jar, result in [(jar, pool.submit(fetch, jar)) for jar in jars]:
            try:
                path = result.result()
            except Exception as error:
                pool.shutdown(cancel_futures=True)
                raise DownloadError(_explain(jar, maven_url, error)) from error
            if not _is_whole(jar, repository):
                raise DownloadError(
                    f"{path.name} from {maven_url} is not the pinned file (SHA-256 {jar.sha256}). "
                    "It was removed; try again. If it stays so, that repository serves another file."
                )
            shown.fetched(path.name, path.stat().st_size)


def _explain(jar: Jar, maven_url: str, error: Exception) -> str:
    return (
        f"Could not fetch {jar.group}:{jar.artifact}:{jar.version} from {maven_url}: {error}. "
        "Kafka's jars are downloaded once (43 MB). Check the network or the proxy (HTTPS_PROXY), "
        "name a mirror of Maven Central in TIDEMARK_MAVEN_URL, "
        "or point KAFKA_BOOTSTRAP_SERVERS at a broker that runs."
    )
