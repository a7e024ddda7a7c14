"""What the shadow role does with the predictions that serving made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inference.domain.errors import ModelNotReady, NoScore, UnknownModel
from inference.scored import score_each

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inference.clocks import Stopwatch
    from inference.metrics import Metrics
    from inference.routes.table import LoadedRoute, RouteTable
    from inference.routes.versions import Version
    from inference.scored import Answers

CaughtUp = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """A prediction that serving made, as its shadows need it.

    Attributes:
        version: Who answered.
        contract_hash: What the vector means, hex.
        values: The vector served, float32[F].
        original: The fact itself, opaque: a shadow's fact is written from it.
    """

    model: str
    version: str
    route_revision: int
    contract_hash: str
    values: NDArray[np.float32]
    original: Any


@dataclass(frozen=True, slots=True, eq=False)
class ShadowScore:
    """What a shadow would have answered.

    Attributes:
        latency_us: Its share of its batch's scoring time.
        outputs: As `Scored.outputs`.
    """

    logged: Logged
    version: str
    route_revision: int
    score: float
    latency_us: int
    outputs: Answers | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Refused:
    """A logged prediction that a shadow cannot score."""

    logged: Logged
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Shadows:
    """The shadows of a model's route, warm."""

    route_revision: int
    versions: tuple[Version, ...]


def shadows_from(loaded: LoadedRoute) -> Shadows:
    """What the shadow role scores with."""
    route = loaded.route
    return Shadows(route.revision, tuple(loaded.versions[ref.digest] for ref in route.shadows))


async def on_predictions_made(
    predictions: Sequence[Logged],
    *,
    routes: RouteTable[Shadows],
    caught_up: CaughtUp,
    metrics: Metrics,
    now_s: Stopwatch,
) -> tuple[list[ShadowScore], list[Refused]]:
    """Score each prediction's vector with every shadow of its model's route: one run a version.

    A version does not shadow its own answers. So where champion and canary are both named as shadows, every
    request gets both scores, each once.

    A prediction of a route revision that was not read yet waits for the routes topic to be read to its end:
    serving cannot know a revision that is not there. What is newest then says which shadows score, whatever
    revision the prediction is of. `caught_up` returns when every route that is published now has been read,
    and raises `Unavailable` while it cannot.
    """
    if any(logged.route_revision > routes.revision_seen(logged.model) for logged in predictions):
        await caught_up()
    scores: list[ShadowScore] = []
    refused: list[Refused] = []
    for model in dict.fromkeys(logged.model for logged in predictions):
        shadows = _find(routes, model)
        of_model = [logged for logged in predictions if logged.model == model]
        for version in shadows.versions:
            others = [logged for logged in of_model if logged.version != version.ref.version]
            fitting, unfit = _divide(others, version)
            refused += unfit
            found, failed = await asyncio.to_thread(_score, fitting, version, shadows.route_revision, now_s)
            refused += failed
            scores += found
            metrics.shadow_scored(model, version.ref.version, len(found))
    return scores, refused


def _find(routes: RouteTable[Shadows], model: str) -> Shadows:
    try:
        return routes.find(model)
    except (UnknownModel, ModelNotReady):
        # Withdrawn, or refused and shown as such: there is nothing to score with.
        return Shadows(-1, ())


def _divide(predictions: Sequence[Logged], version: Version) -> tuple[list[Logged], list[Refused]]:
    fitting: list[Logged] = []
    unfit: list[Refused] = []
    for logged in predictions:
        problem = _misfit(logged, version)
        if problem is None:
            fitting.append(logged)
        else:
            unfit.append(Refused(logged, *problem))
    return fitting, unfit


def _misfit(logged: Logged, version: Version) -> tuple[str, str] | None:
    if logged.contract_hash != version.contract_hash:
        return "CONTRACT_MISMATCH", (
            f"the vector is of feature contract {logged.contract_hash}, shadow {version.ref.version} reads "
            f"{version.contract_hash}: train the shadow on the contract that is served"
        )
    if len(logged.values) != version.scorer.width:
        return "VECTOR_MISMATCH", (
            f"the vector has {len(logged.values)} values, its contract {version.scorer.width}: it was damaged"
        )
    return None


def _score(
    predictions: Sequence[Logged], version: Version, route_revision: int, now_s: Stopwatch
) -> tuple[list[ShadowScore], list[Refused]]:
    if not predictions:
        return [], []
    started_s = now_s()
    answers, more = score_each(version.scorer, np.stack([logged.values for logged in predictions]))
    latency_us = round((now_s() - started_s) * 1e6 / len(predictions))
    scores: list[ShadowScore] = []
    failed: list[Refused] = []
    for row, (logged, answer) in enumerate(zip(predictions, answers, strict=True)):
        if isinstance(answer, NoScore):
            failed.append(Refused(logged, "NO_SCORE", f"shadow {version.ref.version}: {answer}"))
        else:
            outputs = more[row] if more else None
            scores.append(
                ShadowScore(logged, version.ref.version, route_revision, answer, latency_us, outputs)
            )
    return scores, failed
