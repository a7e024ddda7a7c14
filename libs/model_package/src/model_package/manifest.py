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

from model_package.declared import DeclaredSignature, Name
from model_package.errors import MalformedPackage, UnknownFormat

FORMAT_VERSION: Final = 2
"""Of a package with a signature; one without is written as version 1, as it always was."""
MANIFEST: Final = "manifest.json"
MODEL: Final = "model.onnx"
REFERENCE_PROFILE: Final = "reference_profile.json"
GOLDEN: Final = "golden.json"
DEFINITIONS: Final = "definitions.json"
REQUIRED: Final = frozenset({MODEL, REFERENCE_PROFILE, GOLDEN})

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
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
    Without a signature the graph takes the whole vector and answers the probability of the positive class.
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
    signature: DeclaredSignature | None = None

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

    @model_validator(mode="after")
    def _signature_is_of_these_features(self) -> Self:
        named = set() if self.signature is None else self.signature.features_named()
        unknown = sorted(named - set(self.feature_names))
        if unknown:
            raise ValueError(f"the signature names features that the vector has not: {unknown}")
        return self


class Manifest(Facts):
    """The facts and the files of one package, immutable."""

    format_version: Literal[1, 2]
    files: dict[str, Sha256]

    @model_validator(mode="after")
    def _version_says_whether_there_is_a_signature(self) -> Self:
        expected = format_version_of(self)
        if self.format_version != expected:
            raise ValueError(f"format_version must be {expected}: 2 with a signature, 1 without")
        return self

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
        fields = self.model_dump(mode="json")
        if self.signature is None:
            # Version 1 has no such field, and its digests stay what they were.
            del fields["signature"]
        return canonical_json(fields)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes: the identity of the whole package."""
        return sha256_hex(self.to_bytes())

    @property
    def version(self) -> str:
        """The version's name: algorithm and head of the digest, e.g. `gradient-boosting-3f9a1c2b7d04`."""
        return f"{self.algorithm}-{self.digest[:12]}"


def format_version_of(facts: Facts) -> Literal[1, 2]:
    """The version that a package of these facts is written in."""
    return 1 if facts.signature is None else FORMAT_VERSION


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
    if found not in {1, FORMAT_VERSION}:
        raise UnknownFormat(
            f"package {uri} has format version {found!r}, this code reads 1 to {FORMAT_VERSION}: "
            "upgrade the service that opens it, or package the model again"
        )
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        raise MalformedPackage(f"{MANIFEST} of package {uri} is not valid: {error}") from error
