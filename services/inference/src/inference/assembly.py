"""Requests of one model on their way to vectors, the same way whoever asks: gRPC, a topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from feature_store import Requests
from feature_store.expressions import dtype_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store.vectors import Vectors
    from numpy.typing import NDArray

    from inference.domain.requests import Asked
    from inference.routes.serving import ServedModel


class Assembly:
    """Says which rows are needed, computes what needs none, and then assembles.

    Attributes:
        keys: The rows that are needed, a view after the other.
    """

    __slots__ = ("_asked", "_assembler", "_computed", "_context", "_inputs", "_problem", "_requests", "keys")

    def __init__(self, model: ServedModel, asked: Sequence[Asked]) -> None:
        self._asked = asked
        self._assembler = model.assembler
        self._inputs = model.requirements.inputs
        self._context: dict[str, NDArray[Any]] = {}
        self._requests = Requests(
            time_us=np.array([one.request_time_us for one in asked], dtype=np.int64),
            entities={
                name: np.array([one.entities[name] for one in asked], dtype=object)
                for name in model.requirements.entities
            },
            context=self._context,
        )
        self._computed: NDArray[np.float64] | None = None
        self._problem: Exception | None = None
        self.keys = self._assembler.row_keys(self._requests)

    def prepare(self) -> None:
        """Compute what needs no rows, while they are on their way; what goes wrong is said when they come."""
        try:
            self._computed = self._compute()
        except Exception as error:  # noqa: BLE001 - raised by assemble
            self._problem = error

    def _compute(self) -> NDArray[np.float64]:
        for name, kind in self._inputs.items():
            values = [one.context[name] for one in self._asked]
            self._context[name] = np.array(values, dtype=dtype_of(kind))
        return self._assembler.compute(self._requests)

    def assemble(self, rows: Sequence[bytes | None], *, readable: bool) -> Vectors:
        """Make the vectors of the rows that were asked for.

        Args:
            rows: In the order of `keys`.
            readable: Whether they could be read; else every feature of a row is DEFAULTED.
        """
        if self._problem is not None:
            raise self._problem
        return self._assembler.assemble(self._requests, rows, readable=readable, computed=self._computed)
