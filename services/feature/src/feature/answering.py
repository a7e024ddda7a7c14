"""Questions about features answered from the rows that this service keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from feature_store.plans import plan_of
from feature_store.rows import NEWEST, WORD, WORD_BYTES

from feature.domain.questions import requests_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store import Requests
    from feature_store.contract import Contract
    from feature_store.online import ReadRows, RowReader
    from feature_store.vectors import Vectors
    from numpy.typing import NDArray

    from feature.contracts import Served
    from feature.domain.questions import Question

_SECOND_US = 1e6
_NEWEST_BYTES = slice(NEWEST * WORD_BYTES, (NEWEST + 1) * WORD_BYTES)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The features of some questions.

    Attributes:
        contract: What was asked for.
        vectors: A row a question.
        ages_seconds: The question's event time less that of the newest event in the row, float32[n, views];
            NaN where there is no readable row.
    """

    contract: Contract
    vectors: Vectors
    ages_seconds: NDArray[np.float32]


class Answers:
    """Answers questions. Concurrent ones share a read where the reader coalesces.

    Args:
        reader: Reads rows, within a deadline.
    """

    def __init__(self, reader: RowReader) -> None:
        self._reader = reader

    async def answer(self, served: Served, questions: Sequence[Question]) -> Answer:
        """Return the features of each question. A store that is away makes them DEFAULTED.

        Raises:
            InvalidRequest: A question lacks what the features read; the message names the field.
        """
        requests = requests_of(served.contract, questions)
        read = await self._reader.read(served.assembler.row_keys(requests))
        vectors = served.assembler.assemble(requests, read.rows, readable=read.readable)
        return Answer(served.contract, vectors, _ages_seconds(served.contract, requests, read))


def _ages_seconds(contract: Contract, requests: Requests, read: ReadRows) -> NDArray[np.float32]:
    layouts = [plan_of(view).layout for view in contract.views]
    ages = np.full((len(requests), len(layouts)), np.nan, np.float32)
    for index, row in enumerate(read.rows if read.readable else ()):
        question, view = divmod(index, len(layouts))
        if row is not None and layouts[view].partitions_of(row) is not None:
            newest_us = int(np.frombuffer(row[_NEWEST_BYTES], WORD)[0])
            ages[question, view] = (int(requests.time_us[question]) - newest_us) / _SECOND_US
    return ages
