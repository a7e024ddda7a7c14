"""The package format of a model version, its digest and verification.

A package is a folder of files, frozen by one SHA-256: see `docs/adr/0006-package-format.md`.
"""

from model_package.background import Background
from model_package.declared import DeclaredSignature, GraphInput, ScoreSource, Vocabulary
from model_package.errors import (
    DigestMismatch,
    FailedRun,
    GoldenMismatch,
    MalformedPackage,
    MissingFile,
    NonFiniteScore,
    PackageError,
    UnknownFormat,
    UnsafePath,
    UnusableModel,
    VectorMismatch,
)
from model_package.golden import Golden
from model_package.manifest import FORMAT_VERSION, Facts, Manifest, canonical_json, sha256_hex
from model_package.package import Package
from model_package.proving import prove_served
from model_package.scorer import Scorer
from model_package.served import Served, ServedGolden
from model_package.signature import Outputs, Signature, Task, TensorSpec
from model_package.store import MemoryPackageStore, Packages, PackageStore
from model_package.writing import record_golden, write_package

__all__ = [
    "FORMAT_VERSION",
    "Background",
    "DeclaredSignature",
    "DigestMismatch",
    "Facts",
    "FailedRun",
    "Golden",
    "GoldenMismatch",
    "GraphInput",
    "MalformedPackage",
    "Manifest",
    "MemoryPackageStore",
    "MissingFile",
    "NonFiniteScore",
    "Outputs",
    "Package",
    "PackageError",
    "PackageStore",
    "Packages",
    "ScoreSource",
    "Scorer",
    "Served",
    "ServedGolden",
    "Signature",
    "Task",
    "TensorSpec",
    "UnknownFormat",
    "UnsafePath",
    "UnusableModel",
    "VectorMismatch",
    "Vocabulary",
    "canonical_json",
    "prove_served",
    "record_golden",
    "sha256_hex",
    "write_package",
]
