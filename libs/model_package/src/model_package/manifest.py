"""The manifest: what a version is, where it came from, and the hash of every other file."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
    model_validator,
)

from model_package.errors import MalformedPackage, UnknownFormat

FORMAT_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
MODEL: Final = "model.onnx"
REFERENCE_PROFILE: Final = "reference_profile.json"
GOLDEN: Final = "golden.json"
DEFINITIONS: Final = "definitions.json"
REQUIRED: Final = frozenset({MODEL, REFERENCE_PROFILE, GOLDEN})

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def canonical_json(value: Any) -> bytes:
    """The one way a value is written: UTF-8, keys sorted, no spaces, shortest floats.

    Raises:
        ValueError: The value holds NaN or infinity, which JSON has not.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def sha256_hex(data: bytes) -> str:
    """The SHA-256 of some bytes as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


class Facts(BaseModel):
    """What the trainer knows of a version.

    Holds nothing of the wall clock, the machine or the run, so that the same inputs give the same digest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: Name
    algorithm: Name
    feature_names: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]
    contract_hash: Sha256
    label: Name
    decision_threshold: Annotated[float, Field(ge=0, le=1)]
    parameters: dict[str, JsonValue]
    seed: int
    dataset_snapshot: Sha256
    dataset: Annotated[dict[str, JsonValue], Field(description="What the snapshot's hash is made of.")]
    code_commit: Name
    environment_lock: Sha256
    metrics: dict[str, Finite]
    trained_from_us: int
    trained_until_us: int
    training_rows: Annotated[int, Field(ge=1)]
    created_at_us: Annotated[int, Field(description="Event time of the training cut.")]

    @model_validator(mode="after")
    def _period_runs_forward(self) -> Self:
        if self.trained_from_us >= self.trained_until_us:
            raise ValueError("trained_from_us must be before trained_until_us")
        return self

    @field_validator("feature_names")
    @classmethod
    def _names_are_unique(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"feature names must be unique, repeated: {repeated}")
        return names


class Manifest(Facts):
    """The facts and the files of one package, immutable."""

    format_version: Literal[1]
    files: dict[str, Sha256]

    @field_validator("files")
    @classmethod
    def _files_are_plain_names(cls, files: dict[str, str]) -> dict[str, str]:
        unsafe = sorted(name for name in files if not _FILE_NAME.fullmatch(name) or name == MANIFEST)
        if unsafe:
            raise ValueError(f"file names must be plain names inside the package, not {unsafe}")
        missing = sorted(REQUIRED - files.keys())
        if missing:
            raise ValueError(f"files must name {missing}")
        return files

    def to_bytes(self) -> bytes:
        """The canonical bytes, as they stand in `manifest.json`."""
        return canonical_json(self.model_dump(mode="json"))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes: the identity of the whole package."""
        return sha256_hex(self.to_bytes())

    @property
    def version(self) -> str:
        """The version's name: algorithm and head of the digest, e.g. `gradient-boosting-3f9a1c2b7d04`."""
        return f"{self.algorithm}-{self.digest[:12]}"


def parse_manifest(data: bytes, *, uri: str) -> Manifest:
    """Read a manifest.

    Raises:
        UnknownFormat: It is of a format version this code does not read.
        MalformedPackage: It is no JSON object, or a field is missing, unknown or wrong.
    """
    try:
        fields = json.loads(data)
    except ValueError as error:
        raise MalformedPackage(f"{MANIFEST} of package {uri} is not JSON: {error}") from error
    if not isinstance(fields, Mapping):
        raise MalformedPackage(f"{MANIFEST} of package {uri} is not a JSON object")
    found = fields.get("format_version")
    if found != FORMAT_VERSION:
        raise UnknownFormat(
            f"package {uri} has format version {found!r}, this code reads {FORMAT_VERSION}: "
            "upgrade the service that opens it, or package the model again"
        )
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        raise MalformedPackage(f"{MANIFEST} of package {uri} is not valid: {error}") from error
