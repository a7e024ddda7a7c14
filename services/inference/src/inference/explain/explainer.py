"""Explains vectors, one at a time, in a thread of its own: whatever a model does, the process answers.

One at a time, because shap draws from numpy's global generator; who needs more starts more processes. A run
of the model cannot be interrupted, but between two runs of some thousand rows an explanation that nobody
waits for any more is given up.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from model_package import PackageError, Scorer

from inference.domain.explanations import BackgroundKind, Explained, Target
from inference.explain.bounded import Bounded
from inference.explain.errors import NotReadable, TookTooLong, TooManyWait, Unexplainable, WrongWidth
from inference.explain.shapley import attribute, load_shap
from inference.explain.targets import answers_for, class_name, is_probability, meant, pick

if TYPE_CHECKING:
    from model_package import Package, Packages
    from numpy.typing import NDArray

    from inference.domain.explanations import Subject
    from inference.domain.routes import VersionRef
    from inference.explain.metrics import ExplainMetrics
    from inference.explain.shapley import Evaluate

_OPEN_VERSIONS: Final = 8
GOLDEN_NOTE: Final = (
    "the package keeps no sample of its training set: its golden rows, spread evenly over the ranks of the "
    "scores, stand in for it"
)
LIKELIEST_NOTE: Final = (
    "of many classes the score is the likeliest one's probability: what is explained is the probability of "
    "that class, in every row of the background too"
)
_STOPPING: Final = "this process is stopping: ask another"

Key = tuple[str, bytes, Target]


class _GivenUp(Exception):
    """Nobody waits for this explanation any more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What explaining may take.

    Attributes:
        seconds: Longest an explanation may take, its waiting included.
        waiting: Most that wait or run.
        kept: Most explanations that are kept for who asks again.
    """

    seconds: float
    waiting: int
    kept: int


class Explainer:
    """Explains vectors by their versions' packages.

    Args:
        packages: Where packages are.
        limits: What explaining may take.
        metrics: What is counted.
    """

    def __init__(self, packages: Packages, limits: Limits, metrics: ExplainMetrics) -> None:
        self._packages = packages
        self._limits = limits
        self._metrics = metrics
        self._kept: Bounded[Key, Explained] = Bounded(limits.kept)
        self._scorers: Bounded[str, Scorer] = Bounded(_OPEN_VERSIONS)
        self._thread = ThreadPoolExecutor(1, "explainer")
        self._closed = threading.Event()
        self._waiting = 0

    async def warm(self) -> None:
        """Load what explaining takes, in the thread that explains: what is asked meanwhile waits for it."""
        await asyncio.get_running_loop().run_in_executor(self._thread, load_shap)

    async def explain(
        self, ref: VersionRef, subject: Subject, target: Target, within_s: float | None = None
    ) -> Explained:
        """Explain a vector; the same one is explained once while it is kept.

        Args:
            ref: The version that answers.
            subject: The vector.
            target: Which of the version's numbers.
            within_s: What the caller waits; the limit where that is less.

        Raises:
            InvalidExplainRequest: The version has no such target.
            WrongWidth: The vector is not of this version.
            Unexplainable: The package cannot be used, or the model gives no finite number.
            NotReadable: The package cannot be read now.
            TooManyWait: There is no room.
            TookTooLong: It took longer.
        """
        key = ref.digest, subject.values.tobytes(), target
        found = self._kept.get(key)
        self._metrics.asked(subject.model, was_kept=found is not None)
        if found is None:
            found = await self._explain_in_turn(ref, subject, target, within_s)
            self._kept.keep(key, found)
        return found

    def close(self) -> None:
        """Give up what is under way and what waits, each with `NotReadable`."""
        self._closed.set()
        self._thread.shutdown(wait=False)

    async def _explain_in_turn(
        self, ref: VersionRef, subject: Subject, target: Target, within_s: float | None
    ) -> Explained:
        if self._closed.is_set():
            raise NotReadable(_STOPPING)
        if self._waiting >= self._limits.waiting:
            raise TooManyWait(self._limits.waiting)
        limit_s = self._limits.seconds if within_s is None else min(within_s, self._limits.seconds)
        given_up = threading.Event()
        self._waiting += 1
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._explain, ref, subject, target, given_up
                )
        except TimeoutError:
            raise TookTooLong(limit_s) from None
        finally:
            given_up.set()
            self._waiting -= 1

    def _explain(
        self, ref: VersionRef, subject: Subject, target: Target, given_up: threading.Event
    ) -> Explained:
        try:
            with self._metrics.timed(subject.model):
                return self._explained(self._scorer(ref), ref, subject, target, given_up)
        except PackageError as error:
            raise Unexplainable(f"{subject.model} {ref.version}: {error}") from error
        except _GivenUp:
            raise NotReadable(_STOPPING) from None
        except OSError as error:
            raise NotReadable(
                f"package {ref.package_uri} of {subject.model} {ref.version}: {error}"
            ) from error

    def _scorer(self, ref: VersionRef) -> Scorer:
        scorer = self._scorers.get(ref.digest)
        if scorer is None:
            scorer = Scorer(self._packages.open(ref.package_uri, ref.digest))
            scorer.warm()
            self._scorers.keep(ref.digest, scorer)
        return scorer

    def _explained(
        self, scorer: Scorer, ref: VersionRef, subject: Subject, target: Target, given_up: threading.Event
    ) -> Explained:
        manifest = scorer.package.manifest
        _check_width(subject, scorer.width, ref.version)
        kind, background = background_of(scorer.package)
        asked, target = target, meant(scorer, target, subject.values)
        attribution = attribute(
            self._unless(given_up, _evaluate(scorer, target, ref.version)),
            subject.values,
            background,
            is_probability=is_probability(scorer, target),
        )
        return Explained(
            model=subject.model,
            version=ref.version,
            digest=ref.digest,
            contract_hash=manifest.contract_hash,
            feature_names=manifest.feature_names,
            target=target,
            is_score=asked == Target(),
            class_name=class_name(scorer, target),
            background=kind,
            background_rows=len(background),
            usual=np.median(background, axis=0).astype(np.float32),
            attribution=attribution,
            notes=_notes(kind, is_of_likeliest=asked != target),
        )

    def _unless(self, given_up: threading.Event, evaluate: Evaluate) -> Evaluate:
        def evaluate_while_wanted(rows: NDArray[np.float32]) -> NDArray[np.float64]:
            if given_up.is_set() or self._closed.is_set():
                raise _GivenUp
            return evaluate(rows)

        return evaluate_while_wanted


def background_of(package: Package) -> tuple[BackgroundKind, NDArray[np.float32]]:
    """Return what stands in for features that are left out: float32[n, F].

    A package from before there were samples is explained against its golden rows: a decision of last year
    must be explained today, and the reply says against what.
    """
    if package.background is None:
        return BackgroundKind.GOLDEN_ROWS, package.golden.vectors
    return BackgroundKind.TRAINING_SAMPLE, package.background.vectors


def _evaluate(scorer: Scorer, target: Target, version: str) -> Evaluate:
    def evaluate(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return pick(answers_for(scorer, target, rows), target, version)

    return evaluate


def _notes(kind: BackgroundKind, *, is_of_likeliest: bool) -> tuple[str, ...]:
    golden = (GOLDEN_NOTE,) if kind is BackgroundKind.GOLDEN_ROWS else ()
    return (*golden, LIKELIEST_NOTE) if is_of_likeliest else golden


def _check_width(subject: Subject, width: int, version: str) -> None:
    if len(subject.values) != width:
        raise WrongWidth(len(subject.values), version, width)
