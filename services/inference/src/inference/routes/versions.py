"""Loading versions: opened, verified and warmed before they may score."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from model_package import PackageError, Scorer

from inference.background import in_thread_of_its_own
from inference.domain.conduct import Conduct

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_package import Manifest, Package, Packages

    from inference.domain.routes import VersionRef

# Files are held, and what is read of them beside them.
_HELD_PER_FILE_BYTE: Final = 3
# Measured: 3.2 for a hundred small trees, 4.7 for five hundred deep ones.
_SESSION_PER_GRAPH_BYTE: Final = 5
# Measured: 132 kB for a graph of 236 bytes.
_SMALLEST_SESSION_BYTES: Final = 150_000


class VersionRefused(Exception):
    """A version may not score; whatever served before goes on.

    Attributes:
        reason: UPPER_SNAKE, of a small set, so that refusals can be counted by it.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Version:
    """A version ready to score: verified, warm.

    Attributes:
        conduct: How it behaves from now on.
    """

    ref: VersionRef
    scorer: Scorer
    load_seconds: float
    conduct: Conduct

    @property
    def memory_bytes(self) -> int:
        """What it takes, as estimated from its files: see docs/adr/0028."""
        package = self.scorer.package
        held = sum(map(len, package.files.values())) * _HELD_PER_FILE_BYTE
        return held + len(package.model) * _SESSION_PER_GRAPH_BYTE + _SMALLEST_SESSION_BYTES

    @property
    def contract_hash(self) -> str:
        """SHA-256 of the feature contract it was trained on, hex."""
        return self.scorer.package.manifest.contract_hash


def any_contract(_model: str) -> None:
    """Versions of any contract: for who compares contracts vector by vector."""


class PackageVersions:
    """Versions from packages.

    Args:
        packages: Where packages are.
        contract_hash_of: The contract a model's versions must be trained on, hex; any where it gives None.
    """

    def __init__(self, packages: Packages, contract_hash_of: Callable[[str], str | None]) -> None:
        self._packages = packages
        self._contract_hash_of = contract_hash_of

    async def load(self, model: str, ref: VersionRef) -> Version:
        """See `Versions.load`. Runs in a thread, so that scoring goes on meanwhile."""
        started = time.perf_counter()
        try:
            scorer, run_s = await in_thread_of_its_own(partial(self._open, model, ref), f"load {model}")
        except PackageError as error:
            raise VersionRefused(_reason(error), f"{model} {ref.version}: {error}") from error
        except OSError as error:
            raise VersionRefused(
                "UNREADABLE", f"{model} {ref.version} at {ref.package_uri}: {error}"
            ) from error
        seconds = time.perf_counter() - started
        return Version(ref, scorer, seconds, Conduct(f"{model} {ref.version}", run_s))

    def _open(self, model: str, ref: VersionRef) -> tuple[Scorer, float]:
        package = self._packages.open(ref.package_uri, ref.digest)
        _check_model(package, model)
        self._check_contract(package.manifest, model, ref)
        scorer = Scorer(package)
        scorer.warm()
        warm = time.perf_counter()
        scorer.score(package.golden.vectors[:1])
        return scorer, time.perf_counter() - warm

    def _check_contract(self, manifest: Manifest, model: str, ref: VersionRef) -> None:
        expected = self._contract_hash_of(model)
        if expected is not None and manifest.contract_hash != expected:
            raise VersionRefused(
                "CONTRACT_MISMATCH",
                f"{model} {ref.version} was trained on feature contract {manifest.contract_hash}, "
                f"this project computes {expected}: deploy the project it was trained with, or train it anew",
            )


def _check_model(package: Package, model: str) -> None:
    found = package.manifest.model
    if found != model:
        raise VersionRefused(
            "MODEL_MISMATCH", f"package {package.uri} holds a version of {found!r}, the route is of {model!r}"
        )


def _reason(error: PackageError) -> str:
    """DigestMismatch -> DIGEST_MISMATCH."""
    name = type(error).__name__
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()
