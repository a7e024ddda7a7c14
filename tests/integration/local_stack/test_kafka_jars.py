"""Fetching pinned jars from a Maven repository, here a small one of our own over HTTP."""

import hashlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from local_stack import DownloadError
from local_stack.kafka_jars import Jar, fetch_classpath, pinned_jars
from local_stack.progress import ConsoleProgress
from rich.console import Console

CONTENT = b"not really a jar"
JAR = Jar("org.example", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest())


class Repository:
    """A Maven repository on a free port that counts the downloads of each jar."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.downloads: list[str] = []
        self.cut_off = False
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(self._handler(), directory=str(folder)))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def publish(self, jar: Jar, content: bytes) -> None:
        path = self.folder / jar.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[SimpleHTTPRequestHandler]:
        repository = self

        class Handler(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                repository.downloads.append(self.path)
                if repository.cut_off:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(CONTENT)))
                    self.end_headers()
                    self.wfile.write(CONTENT[:5])
                else:
                    super().do_GET()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    (tmp_path / "repository").mkdir()
    repository = Repository(tmp_path / "repository")
    yield repository
    repository.close()


def fetch(cache: Path, url: str, jars: list[Jar]) -> list[Path]:
    return fetch_classpath(cache, url, ConsoleProgress(Console(file=StringIO())), jars)


def test_the_lock_pins_kafka_and_a_digest_for_every_jar() -> None:
    jars = pinned_jars()
    assert ("org.apache.kafka", "kafka_2.13", "4.1.0") in {
        (jar.group, jar.artifact, jar.version) for jar in jars
    }
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars)
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)


def test_a_jar_is_downloaded_once(tmp_path: Path, repository: Repository) -> None:
    repository.publish(JAR, CONTENT)
    (path,) = fetch(tmp_path / "cache", repository.url, [JAR])
    assert path.read_bytes() == CONTENT
    assert fetch(tmp_path / "cache", repository.url, [JAR]) == [path]
    assert len(repository.downloads) == 1


def test_a_download_that_is_cut_off_leaves_no_jar(tmp_path: Path, repository: Repository) -> None:
    repository.publish(JAR, CONTENT)
    repository.cut_off = True
    with pytest.raises(DownloadError, match="Could not fetch"):
        fetch(tmp_path / "cache", repository.url, [JAR])
    assert not (tmp_path / "cache" / "maven" / JAR.path).exists()

    repository.cut_off = False
    (path,) = fetch(tmp_path / "cache", repository.url, [JAR])
    assert path.read_bytes() == CONTENT


def test_another_file_than_the_pinned_one_is_refused_and_not_kept(
    tmp_path: Path, repository: Repository
) -> None:
    repository.publish(JAR, b"something else")
    with pytest.raises(DownloadError, match="not the file that Tidemark pins"):
        fetch(tmp_path / "cache", repository.url, [JAR])
    assert not (tmp_path / "cache" / "maven" / JAR.path).exists()


def test_a_missing_jar_is_named_with_what_to_do(tmp_path: Path, repository: Repository) -> None:
    with pytest.raises(DownloadError, match=r"org/example/thing/1\.0.*404.*TIDEMARK_MAVEN_URL"):
        fetch(tmp_path / "cache", repository.url, [JAR])


def test_a_repository_that_is_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:1/.*refused"):
        fetch(tmp_path / "cache", "http://127.0.0.1:1", [JAR])


FETCH = """
import json, sys
from pathlib import Path
from local_stack.kafka_jars import Jar, fetch_classpath
from local_stack.progress import ConsoleProgress
jars = [Jar(**jar) for jar in json.loads(sys.argv[3])]
print(*fetch_classpath(Path(sys.argv[1]), sys.argv[2], ConsoleProgress(), jars))
"""


def test_two_processes_that_start_at_once_download_once(tmp_path: Path, repository: Repository) -> None:
    jars = []
    for index in range(5):
        content = f"jar {index}".encode()
        jar = Jar("org.example", f"thing-{index}", "1.0", hashlib.sha256(content).hexdigest())
        repository.publish(jar, content)
        jars.append(jar)
    arguments = [str(tmp_path / "cache"), repository.url, json.dumps([asdict(jar) for jar in jars])]
    command = [sys.executable, "-c", FETCH, *arguments]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in "ab"]
    printed = {process.communicate(timeout=60)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert printed == {" ".join(str(tmp_path / "cache" / "maven" / jar.path) for jar in jars) + "\n"}
    assert len(repository.downloads) == 5
