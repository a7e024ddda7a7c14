"""What the stream role does with requests that come as events: whole batches, with the code that serves.

No caller waits, so nothing is answered with less than it could be: what is away is waited for, whereas a
request that can never be answered is refused by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from bus.errors import Unavailable

from inference.assembly import Assembly
from inference.domain.errors import InvalidRequest, ModelNotReady, NoScore, UnknownModel
from inference.domain.requests import check_requirements, check_shape
from inference.scored import Scored, score_each

if TYPE_CHECKING:
    from feature_store.vectors import Vectors

    from inference.clocks import Stopwatch
    from inference.domain.requests import Asked
    from inference.metrics import Metrics
    from inference.routes.serving import ServedArm, ServedModel
    from inference.routes.table import RouteTable

# What so many requests are assembled from stays in the processor's cache.
_TOGETHER: Final = 512

CaughtUp = Callable[[], Awaitable[None]]


class AllRows(Protocol):
    """Packed feature rows, for whoever can wait for them."""

    async def read(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Return rows in the order of the keys; None where there is none.

        Raises:
            Unavailable: They could not be read.
        """


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that gets no score, whoever asks how often; `reason` is UPPER_SNAKE, of a small set."""

    reason: str
    detail: str


@dataclass(slots=True, eq=False)
class _Admitted:
    index: int
    asked: Asked
    model: ServedModel
    arm: ServedArm


async def on_scoring_requested(
    requests: Sequence[Asked],
    *,
    routes: RouteTable[ServedModel],
    caught_up: CaughtUp,
    rows: AllRows,
    metrics: Metrics,
    now_s: Stopwatch,
) -> list[Scored | Refused]:
    """Score requests together: one read of rows and one run of each version for all of them.

    A model without a route may have one that was published before its request and was not read yet: the
    routes are read to their end before it is refused.

    Returns:
        In the order of the requests, the score or why there will never be one.

    Raises:
        Unavailable: Rows, routes or a version are away: nothing is answered yet.
    """
    started_s = now_s()
    if any(not routes.knows(name) for name in {asked.model for asked in requests}):
        await caught_up()
    answers: list[Scored | Refused | None] = [None] * len(requests)
    admitted: list[_Admitted] = []
    for index, asked in enumerate(requests):
        one = _admit(index, asked, routes)
        if isinstance(one, Refused):
            answers[index] = one
        else:
            admitted.append(one)
    groups = [
        (group, Assembly(group[0].model, [one.asked for one in group])) for group in _groups_of(admitted)
    ]
    found = await _read(rows, [assembly for _, assembly in groups])
    for group, assembly in groups:
        # ONNX Runtime and numpy leave the interpreter to the loop, which fetches what comes next.
        scored, vectors = await asyncio.to_thread(_score, group, assembly, found, now_s, started_s)
        for one, answer in zip(group, scored, strict=True):
            answers[one.index] = answer
        _count(metrics, group, scored, vectors)
    return [answer for answer in answers if answer is not None]


def _admit(index: int, asked: Asked, routes: RouteTable[ServedModel]) -> _Admitted | Refused:
    try:
        check_shape(asked)
        model = routes.find(asked.model)
        check_requirements(asked, model.requirements)
    except InvalidRequest as error:
        return Refused("INVALID_REQUEST", str(error))
    except UnknownModel as error:
        return Refused("UNKNOWN_MODEL", str(error))
    except ModelNotReady as error:
        # Whoever made the route meant it to answer: a version that cannot be loaded is away, not wrong.
        raise Unavailable(str(error)) from error
    return _Admitted(index, model.conceal(asked), model, model.assign(asked))


def _groups_of(admitted: Sequence[_Admitted]) -> list[list[_Admitted]]:
    """Divide requests by arm: those of one share a contract and a scorer."""
    by_arm: dict[int, list[_Admitted]] = {}
    for one in admitted:
        by_arm.setdefault(id(one.arm), []).append(one)
    return [group[at : at + _TOGETHER] for group in by_arm.values() for at in range(0, len(group), _TOGETHER)]


async def _read(rows: AllRows, assemblies: Sequence[Assembly]) -> dict[bytes, bytes | None]:
    distinct = list(dict.fromkeys(key for assembly in assemblies for key in assembly.keys))
    return dict(zip(distinct, await rows.read(distinct), strict=True)) if distinct else {}


def _score(
    group: Sequence[_Admitted],
    assembly: Assembly,
    found: dict[bytes, bytes | None],
    now_s: Stopwatch,
    started_s: float,
) -> tuple[list[Scored | Refused], Vectors]:
    assembly.prepare()
    vectors = assembly.assemble([found[key] for key in assembly.keys], readable=True)
    model, served = group[0].model, group[0].arm
    scores, more = score_each(served.scorer, vectors.values)
    latency_us = round((now_s() - started_s) * 1e6)
    answers: list[Scored | Refused] = []
    for row, (one, score) in enumerate(zip(group, scores, strict=True)):
        if isinstance(score, NoScore):
            answers.append(Refused("NO_SCORE", f"{served.arm.version.version}: {score}"))
            continue
        scored = Scored(
            asked=one.asked,
            arm=served.arm,
            route_revision=model.revision,
            contract=model.contract,
            label=model.label,
            score=score,
            vectors=vectors,
            row=row,
            latency_us=latency_us,
            outputs=more[row] if more else None,
        )
        answers.append(scored)
    return answers, vectors


def _count(
    metrics: Metrics, group: Sequence[_Admitted], answers: Sequence[Scored | Refused], vectors: Vectors
) -> None:
    model = group[0].model.name
    scored = sum(isinstance(one, Scored) for one in answers)
    metrics.streamed(model, group[0].arm.arm.variant, scored)
    metrics.batch_scored(len(group))
    metrics.features_served(model, vectors.statuses)
