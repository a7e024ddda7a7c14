"""Answering what is asked: find the prediction, find its version, explain, and say it in words."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from inference.domain.explanations import Explained, Subject, Target
from inference.domain.reasons import reasons_of
from inference.explain.errors import InvalidExplainRequest, TookTooLong, WrongWidth
from inference.explain.questions import Answer, Given, Question

if TYPE_CHECKING:
    from inference.explain.explainer import Explainer
    from inference.explain.predictions import Prediction, Predictions
    from inference.explain.versions import KnownVersions
    from inference.explain.vocabulary import Vocabulary

_SAME_SCORE: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Asking:
    """Answers questions."""

    explainer: Explainer
    versions: KnownVersions
    vocabulary: Vocabulary

    async def about_given(self, given: Given, question: Question, within_s: float | None) -> Answer:
        """Explain a vector that the caller has.

        Raises:
            ExplainError: There is no explanation.
        """
        ref = self.versions.find(given.model, given.version)
        subject = Subject(given.model, ref.version, given.values, given.statuses, given.entities)
        try:
            explained = await self.explainer.explain(ref, subject, question.target, within_s)
        except WrongWidth as error:
            raise InvalidExplainRequest("vector.values", str(error)) from error
        return self._answer(explained, subject, question.each, None)

    async def about(
        self, prediction: Prediction, target: Target, each: int, within_s: float | None
    ) -> Answer:
        """Explain a prediction, by the version that made it.

        Raises:
            ExplainError: There is no explanation.
        """
        ref = self.versions.find(prediction.model, prediction.version)
        subject = Subject(
            prediction.model, ref.version, prediction.values, prediction.statuses, prediction.entities
        )
        explained = await self.explainer.explain(ref, subject, target, within_s)
        return self._answer(explained, subject, each, prediction)

    def _answer(
        self, explained: Explained, subject: Subject, each: int, prediction: Prediction | None
    ) -> Answer:
        reasons = reasons_of(
            explained,
            subject,
            self.vocabulary.said_of(explained),
            each=each,
            score_words=self.vocabulary.score_words(explained),
        )
        return Answer(explained, subject, reasons, _notes(explained, prediction), prediction)


async def answer(
    question: Question, within_s: float | None, *, asking: Asking, predictions: Predictions
) -> Answer:
    """Answer a question within the caller's deadline, in seconds; None for no deadline.

    Raises:
        ExplainError: There is no explanation.
    """
    try:
        async with asyncio.timeout(within_s):
            if question.given is not None:
                return await asking.about_given(question.given, question, within_s)
            prediction = await predictions.find(question.prediction_id)
            return await asking.about(prediction, question.target, question.each, within_s)
    except TimeoutError:
        raise TookTooLong(within_s or 0.0) from None


def _notes(explained: Explained, prediction: Prediction | None) -> tuple[str, ...]:
    if prediction is None or not explained.is_score:
        return explained.notes
    value = explained.attribution.plain.value
    if abs(value - prediction.score) <= _SAME_SCORE:
        return explained.notes
    return (
        *explained.notes,
        f"the version scores this vector {value:.6g} here, and {prediction.score:.6g} was recorded",
    )
