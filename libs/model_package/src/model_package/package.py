"""A package in memory: every byte of it verified before anything uses it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from model_package.background import BACKGROUND, Background, parse_background
from model_package.errors import DigestMismatch, MalformedPackage, MissingFile
from model_package.golden import Golden, parse_golden
from model_package.manifest import (
    DEFINITIONS,
    GOLDEN,
    MANIFEST,
    MODEL,
    REFERENCE_PROFILE,
    Manifest,
    parse_manifest,
    sha256_hex,
)
from model_package.served import Served, parse_served

ReadFile = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Package:
    """A verified version. What was verified is what is held: nothing is read from the store again.

    Attributes:
        uri: Where it was read from, as `VersionRef.package_uri` carries it.
        digest: SHA-256 of the canonical manifest, hex.
        manifest: What it is.
        files: The bytes of every file by name, the manifest's included.
        golden: Rows to check a runtime with.
        reference_profile: The training set's profile that drift is measured against.
        served: The graph from readings to score; None where the package has none.
        background: A sample of the training set, for explanations; None where the package has none.
    """

    uri: str
    digest: str
    manifest: Manifest
    files: Mapping[str, bytes]
    golden: Golden
    reference_profile: Mapping[str, Any]
    served: Served | None = None
    background: Background | None = None

    @property
    def model(self) -> bytes:
        """The ONNX graph."""
        return self.files[MODEL]

    @property
    def definitions(self) -> bytes | None:
        """What its features are, as the feature store wrote it; None in packages older than that."""
        return self.files.get(DEFINITIONS)

    @property
    def version(self) -> str:
        """The version's name, unique a model."""
        return self.manifest.version


def read_package(read: ReadFile, *, uri: str, digest: str) -> Package:
    """Read and verify a package, file by file.

    Args:
        read: Gives a file's bytes by its plain name, or None when there is no such file.
        uri: Named in errors and kept in the package.
        digest: What the package must be.

    Raises:
        MissingFile: The manifest or a file it names is not there.
        DigestMismatch: The manifest or a file is not what was registered.
        UnknownFormat: The package is of another format version.
        MalformedPackage: A file does not say what the format requires.
    """
    manifest_bytes = _read_verified(read, uri=uri, file=MANIFEST, expected=digest)
    manifest = parse_manifest(manifest_bytes, uri=uri)
    files = {
        file: _read_verified(read, uri=uri, file=file, expected=expected)
        for file, expected in manifest.files.items()
    }
    return Package(
        uri=uri,
        digest=digest,
        manifest=manifest,
        files={MANIFEST: manifest_bytes, **files},
        golden=parse_golden(files[GOLDEN], uri=uri, width=len(manifest.feature_names)),
        reference_profile=_parse_profile(files[REFERENCE_PROFILE], uri=uri),
        served=parse_served(files, uri=uri, width=len(manifest.feature_names)),
        background=parse_background(files.get(BACKGROUND), uri=uri, width=len(manifest.feature_names)),
    )


def _read_verified(read: ReadFile, *, uri: str, file: str, expected: str) -> bytes:
    data = read(file)
    if data is None:
        raise MissingFile(uri=uri, file=file)
    found = sha256_hex(data)
    if found != expected:
        raise DigestMismatch(uri=uri, file=file, expected=expected, found=found)
    return data


def _parse_profile(data: bytes, *, uri: str) -> Mapping[str, Any]:
    try:
        profile = json.loads(data)
    except ValueError as error:
        raise MalformedPackage(f"{REFERENCE_PROFILE} of package {uri} is not JSON: {error}") from error
    if not isinstance(profile, dict):
        raise MalformedPackage(f"{REFERENCE_PROFILE} of package {uri} is not a JSON object")
    return profile
