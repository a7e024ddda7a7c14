"""Questions about features answered from the rows that this service keeps."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from feature_store.online import ReadRows
from feature_store.plans import plan_of
from feature_store.rows import NEWEST, WORD, WORD_BYTES

from feature.domain.questions import check, requests_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from feature_store import Requests, View
    from feature_store.concealment import Concealment
    from feature_store.contract import Contract
    from feature_store.online import RowReader
    from feature_store.vectors import Vectors
    from numpy.typing import NDArray

    from feature.contracts import Served
    from feature.domain.questions import Question

MOST_TOGETHER: Final = 256
_SECOND_US: Final = 1e6
_UNREADABLE: Final = b""
_NEWEST_BYTES = slice(NEWEST * WORD_BYTES, (NEWEST + 1) * WORD_BYTES)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The features of some questions.

    Attributes:
        contract: What was asked for.
        vectors: A row a question.
        ages_seconds: The question's event time less that of the newest event in the row, float32[n, views];
            NaN where there is no readable row.
        versions: The version of each view.
        complete: Whether each view's version is up to date.
    """

    contract: Contract
    vectors: Vectors
    ages_seconds: NDArray[np.float32]
    versions: Sequence[str]
    complete: Sequence[bool]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A question whose caller waits."""

    served: Served
    question: Question
    answer: asyncio.Future[tuple[Answer, int]]


class Answers:
    """Answers questions. Concurrent ones share a read where the reader coalesces.

    Args:
        reader: Reads rows, within a deadline.
        is_complete: Whether a view's version is up to date.
        concealment: Hashes the keys and inputs that are kept hashed; None where nothing is.
    """

    def __init__(
        self,
        reader: RowReader,
        is_complete: Callable[[View], bool],
        concealment: Concealment | None = None,
    ) -> None:
        self._concealment = concealment
        self._reader = reader
        self._is_complete = is_complete
        self._waiting: list[_Waiting] = []
        self._answering: asyncio.Task[None] | None = None

    async def answer_one(self, served: Served, question: Question) -> tuple[Answer, int]:
        """Return an answer and which of its rows is this question's.

        Questions that come while others are being answered are answered together: what a vector costs is
        mostly the same for one as for fifty.

        Raises:
            InvalidRequest: The question lacks what the features read; the message names the field.
        """
        check(question, served.contract)
        answer: asyncio.Future[tuple[Answer, int]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(served, question, answer))
        if self._answering is None:
            self._answering = asyncio.get_running_loop().create_task(self._answer_waiting())
        return await answer

    async def _answer_waiting(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
                by_contract: dict[int, list[_Waiting]] = defaultdict(list)
                for one in together:
                    by_contract[id(one.served)].append(one)
                await asyncio.gather(*map(self._answer_alike, by_contract.values()))
        finally:
            self._answering = None

    async def _answer_alike(self, alike: Sequence[_Waiting]) -> None:
        try:
            answer = await self.answer(alike[0].served, [one.question for one in alike])
        except Exception as error:  # noqa: BLE001 - told to each who waits
            for one in alike:
                if not one.answer.done():
                    one.answer.set_exception(error)
            return
        for row, one in enumerate(alike):
            if not one.answer.done():
                one.answer.set_result((answer, row))

    async def answer(self, served: Served, questions: Sequence[Question]) -> Answer:
        """Return the features of each question. A store that is away makes them DEFAULTED.

        Raises:
            InvalidRequest: A question lacks what the features read; the message names the field.
        """
        if self._concealment is not None:
            questions = [_concealed(one, self._concealment) for one in questions]
        requests = requests_of(served.contract, questions)
        read = await self._reader.read(served.assembler.row_keys(requests))
        complete = [self._is_complete(view) for view in served.contract.views]
        read = _withheld(read, complete)
        vectors = served.assembler.assemble(requests, read.rows, readable=read.readable)
        ages_seconds = _ages_seconds(served.contract, requests, read)
        return Answer(served.contract, vectors, ages_seconds, served.versions, complete)


def _withheld(read: ReadRows, complete: Sequence[bool]) -> ReadRows:
    """Return rows of versions that are not up to date as unreadable: their features are DEFAULTED."""
    if all(complete):
        return read
    rows = [row if complete[index % len(complete)] else _UNREADABLE for index, row in enumerate(read.rows)]
    return ReadRows(rows, readable=read.readable)


def _concealed(question: Question, concealment: Concealment) -> Question:
    return replace(
        question,
        entities=concealment.entities(question.entities),
        context=concealment.context(question.context),
    )


def _ages_seconds(contract: Contract, requests: Requests, read: ReadRows) -> NDArray[np.float32]:
    layouts = [plan_of(view).layout for view in contract.views]
    ages = np.full((len(requests), len(layouts)), np.nan, np.float32)
    for index, row in enumerate(read.rows if read.readable else ()):
        question, view = divmod(index, len(layouts))
        if row is not None and layouts[view].partitions_of(row) is not None:
            newest_us = int(np.frombuffer(row[_NEWEST_BYTES], WORD)[0])
            ages[question, view] = (int(requests.time_us[question]) - newest_us) / _SECOND_US
    return ages
