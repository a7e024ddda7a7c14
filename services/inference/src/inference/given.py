"""Scoring of vectors that the caller gives: no rows are read, so nothing is waited for.

A request is scored in its caller's turn of the loop, slice by slice; others get their turn between slices.
"""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from feature_store.statuses import Status
from feature_store.vectors import Vectors

from inference.domain.errors import DeadlinePassed, NoScore, Overloaded, ScoringError
from inference.domain.requests import check_shape
from inference.rows import in_rows, record_all
from inference.scored import Scored, score_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    import structlog
    from numpy.typing import NDArray

    from inference.clocks import Stopwatch
    from inference.domain.requests import Asked
    from inference.metrics import Metrics
    from inference.ports import PredictionLog
    from inference.serving import ServedArm, ServedModel


class GivenVectors:
    """Scores vectors.

    Args:
        predictions: Where what was answered is recorded.
        limit: Most rows that may be under way; more are turned away.
        slice_rows: Most rows that are scored in one turn.
    """

    def __init__(
        self,
        *,
        predictions: PredictionLog,
        metrics: Metrics,
        now_s: Stopwatch,
        log: structlog.stdlib.BoundLogger,
        limit: int,
        slice_rows: int,
    ) -> None:
        self._predictions = predictions
        self._metrics = metrics
        self._now_s = now_s
        self._log = log
        self._limit = limit
        self._slice_rows = slice_rows
        self._under_way = 0

    async def score(
        self,
        model: ServedModel,
        rows: Sequence[Asked],
        vectors: NDArray[np.float32],
        *,
        pinned: ServedArm | None,
        time_left_s: float | None,
    ) -> list[Scored]:
        """Score all vectors or none.

        Args:
            model: Whose they are.
            rows: What is asked with each.
            vectors: float32[n, F], finite, in the order of the model's contract.
            pinned: Who answers; None where the route decides: by the request key, for there are no entities.
            time_left_s: Until the caller's deadline; None when it has none.

        Raises:
            ScoringError: Saying which has no score, and why; nothing was recorded, unless it is
                `LogUnavailable`.
        """
        started_s = self._now_s()
        expires_at_s = math.inf if time_left_s is None else started_s + time_left_s
        in_rows([partial(check_shape, asked) for asked in rows])
        if self._under_way + len(rows) > self._limit:
            raise Overloaded(self._under_way, self._limit)
        self._under_way += len(rows)
        try:
            concealed = [model.conceal(asked) for asked in rows]
            arms = [pinned or model.assign_by_key(asked) for asked in concealed]
            scores = await self._scores(arms, vectors, expires_at_s)
        finally:
            self._under_way -= len(rows)
        scored = self._scored(model, concealed, arms, scores, vectors, started_s)
        await record_all(self._predictions, scored, is_durable=model.is_durable)
        return scored

    async def _scores(
        self, arms: Sequence[ServedArm], vectors: NDArray[np.float32], expires_at_s: float
    ) -> Sequence[float]:
        answers: list[float | ScoringError] = [NoScore("not scored")] * len(arms)
        for arm, rows in _by_arm(arms):
            for start in range(0, len(rows), self._slice_rows):
                if self._now_s() >= expires_at_s:
                    raise DeadlinePassed
                some = rows[start : start + self._slice_rows]
                for row, answer in zip(some.tolist(), self._run(arm, vectors[some]), strict=True):
                    answers[row] = answer
                if start + self._slice_rows < len(rows):
                    await asyncio.sleep(0)
        return in_rows([partial(_raised, answer) for answer in answers])

    def _run(self, arm: ServedArm, vectors: NDArray[np.float32]) -> Sequence[float | ScoringError]:
        try:
            return score_each(arm.scorer, vectors)
        except Exception as error:
            # ONNX Runtime's own classes share no public base.
            self._log.exception("vectors not scored", size=len(vectors))
            raise NoScore(f"internal error: {error!r}") from error

    def _scored(
        self,
        model: ServedModel,
        rows: Sequence[Asked],
        arms: Sequence[ServedArm],
        scores: Sequence[float],
        values: NDArray[np.float32],
        started_s: float,
    ) -> list[Scored]:
        latency_us = round((self._now_s() - started_s) * 1e6)
        statuses = np.full(values.shape, Status.PRESENT, np.uint8)
        vectors = Vectors(values, statuses, ())
        self._metrics.batch_scored(len(rows))
        self._metrics.features_served(model.name, Status.PRESENT, statuses.size)
        for arm in arms:
            self._metrics.answered(model.name, arm.arm.variant, latency_us)
        return [
            Scored(
                asked=asked,
                arm=arm.arm,
                route_revision=model.revision,
                contract=model.contract,
                label=model.label,
                score=score,
                vectors=vectors,
                row=row,
                latency_us=latency_us,
            )
            for row, (asked, arm, score) in enumerate(zip(rows, arms, scores, strict=True))
        ]


def _raised(answer: float | ScoringError) -> float:
    if isinstance(answer, ScoringError):
        raise answer
    return answer


def _by_arm(arms: Sequence[ServedArm]) -> list[tuple[ServedArm, NDArray[np.intp]]]:
    rows: dict[int, list[int]] = {}
    for row, arm in enumerate(arms):
        rows.setdefault(id(arm), []).append(row)
    return [(arms[numbers[0]], np.array(numbers, np.intp)) for numbers in rows.values()]
