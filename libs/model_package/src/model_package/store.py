"""Where packages are kept: content-addressed, immutable."""

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from model_package.errors import MissingFile, UnsafePath
from model_package.manifest import MANIFEST, sha256_hex
from model_package.package import Package, ReadFile, read_package

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Packages(Protocol):
    """Keeps packages by digest; what was put never changes."""

    def put(self, folder: Path) -> Package:
        """Verify a folder that `write_package` wrote, and keep a copy; putting the same twice is a no-op.

        Raises:
            PackageError: The folder, or the copy already kept, is not a whole package.
        """

    def open(self, uri: str, digest: str) -> Package:
        """Read a package and verify every byte.

        Raises:
            UnsafePath: The URI points outside this store, or the digest is no SHA-256.
            MissingFile: There is no such package, or a file of it is gone.
            DigestMismatch: A file is not what was registered.
            UnknownFormat: The package is of another format version.
            MalformedPackage: A file does not say what the format requires.
        """


class PackageStore:
    """Packages in a folder of the file system, one sub-folder a digest."""

    def __init__(self, root_uri: str | Path) -> None:
        self._root = _local_path(str(root_uri)).resolve()

    def put(self, folder: Path) -> Package:
        """See `Packages.put`. Atomic: readers see the whole package or none."""
        package = read_folder(folder)
        target = self._root / package.digest
        if not target.exists():
            self._keep(package, target)
        return self.open(target.as_uri(), package.digest)

    def open(self, uri: str, digest: str) -> Package:
        """See `Packages.open`."""
        _check_digest(digest)
        folder = self._inside(uri)
        return read_package(_reader(folder), uri=uri, digest=digest)

    def _inside(self, uri: str) -> Path:
        folder = (self._root / _local_path(uri)).resolve()
        if self._root not in folder.parents:
            raise UnsafePath(f"package {uri} is not inside the store {self._root}: check PACKAGES_URI")
        return folder

    def _keep(self, package: Package, target: Path) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=self._root))
        try:
            for name, data in package.files.items():
                _write_durably(incoming / name, data)
            incoming.chmod(0o755)
            _rename_unless_there(incoming, target)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)


class MemoryPackageStore:
    """Packages in this process, for tests."""

    def __init__(self) -> None:
        self._packages: dict[str, Package] = {}

    def put(self, folder: Path) -> Package:
        """See `Packages.put`."""
        read = read_folder(folder)
        uri = f"memory:///{read.digest}"
        return self._packages.setdefault(uri, read_package(read.files.get, uri=uri, digest=read.digest))

    def open(self, uri: str, digest: str) -> Package:
        """See `Packages.open`."""
        _check_digest(digest)
        if ".." in uri:
            raise UnsafePath(f"package {uri} is not inside the store memory:///")
        kept = self._packages.get(uri)
        if kept is None:
            raise MissingFile(uri=uri, file=MANIFEST)
        return read_package(kept.files.get, uri=uri, digest=digest)


def read_folder(folder: Path) -> Package:
    """Read and verify a package folder by the digest it claims for itself.

    Raises:
        PackageError: It is not a whole package.
    """
    uri = str(folder)
    read = _reader(folder)
    manifest = read(MANIFEST)
    if manifest is None:
        raise MissingFile(uri=uri, file=MANIFEST)
    return read_package(read, uri=uri, digest=sha256_hex(manifest))


def _reader(folder: Path) -> ReadFile:
    def read(name: str) -> bytes | None:
        path = folder / name
        return path.read_bytes() if path.is_file() and not path.is_symlink() else None

    return read


def _local_path(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if parts.scheme or "\0" in uri:
        raise UnsafePath(f"{uri!r} is not a folder or a file:// URI, which is what this store reads")
    return Path(uri)


def _check_digest(digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise UnsafePath(f"{digest!r} is not a SHA-256 in 64 lower-case hex digits")


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _rename_unless_there(incoming: Path, target: Path) -> None:
    # Another writer of the same digest may win the race: its bytes are the same, so ours are dropped.
    try:
        incoming.rename(target)
    except OSError:
        if not target.is_dir():
            raise
