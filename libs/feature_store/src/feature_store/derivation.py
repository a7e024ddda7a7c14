"""Features of features: the last step from what rows and requests say to the numbers of a vector."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_store.definitions import Derived, Opaque
from feature_store.statuses import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from feature_store.contract import Contract
    from feature_store.requests import Requests

_LOG: Final = logging.getLogger(__name__)
_PRESENT: Final = np.uint8(Status.PRESENT)
_MISSING: Final = np.uint8(Status.MISSING)
_DEFAULTED: Final = np.uint8(Status.DEFAULTED)


class Derivation:
    """A contract's derived features, to be computed in their order.

    Attributes:
        names: All features that vectors are computed from: the contract's leaves, then the derived ones.
        vector: By feature of the vector, its place among them.
    """

    def __init__(self, contract: Contract) -> None:
        self._leaves = len(contract.leaves)
        self.names = tuple(feature.full_name for feature in (*contract.leaves, *contract.derived))
        self.vector = np.array([self.names.index(name) for name in contract.feature_names], np.intp)
        self._derived = [
            (feature, [(operand.name, self.names.index(operand.full_name)) for operand in feature.operands])
            for feature in contract.derived
        ]
        self._entity_keys = contract.entity_keys
        self._failed: set[str] = set()

    def finish(
        self, leaves: NDArray[np.float64], leaf_statuses: NDArray[np.uint8], requests: Requests
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Return numbers and statuses of the vectors, to be settled.

        Args:
            leaves: float64[n, leaves].
            leaf_statuses: uint8[n, leaves], before it is looked at whether the numbers are finite.
            requests: The requests.
        """
        numbers = np.empty((len(requests), len(self.names)))
        statuses = np.full(numbers.shape, _PRESENT)
        numbers[:, : self._leaves], statuses[:, : self._leaves] = leaves, leaf_statuses
        _mark(numbers[:, : self._leaves], statuses[:, : self._leaves], _MISSING)
        given = requests.named(self._entity_keys)
        for at, (feature, operands) in enumerate(self._derived, self._leaves):
            read = {
                name: np.where(statuses[:, place] == _PRESENT, numbers[:, place], np.nan)
                for name, place in operands
            }
            worst = statuses[:, [place for _, place in operands]].max(axis=1, initial=_MISSING)
            computed = self._compute(feature, {**given, **read}, len(requests))
            numbers[:, at] = np.nan if computed is None else computed
            _mark(numbers[:, at], statuses[:, at], _DEFAULTED if computed is None else worst)
        return numbers.take(self.vector, axis=1), statuses.take(self.vector, axis=1)

    def _compute(
        self, feature: Derived | Opaque, columns: Mapping[str, NDArray[Any]], n: int
    ) -> NDArray[np.float64] | None:
        """Return a feature's numbers, NaN where null; None where its function failed."""
        with np.errstate(all="ignore"):
            if isinstance(feature, Derived):
                return feature.expression.evaluate(columns, n)
            given = {name: _locked(one.evaluate(columns, n)) for name, one in feature.inputs.items()}
            return self._call(feature, given, n)

    def _call(self, feature: Opaque, given: Mapping[str, NDArray[Any]], n: int) -> NDArray[np.float64] | None:
        if n == 0:
            return np.empty(0)
        try:
            return _column(feature.function(**given), n)
        except Exception:  # noqa: BLE001 - somebody else's code: whatever it raises, the request is answered
            if feature.name not in self._failed:
                self._failed.add(feature.name)
                _LOG.warning("%s failed, its default stands in the vectors", feature.label, exc_info=True)
            return None


def _column(made: Any, n: int) -> NDArray[np.float64]:
    """Return what a function returned as numbers.

    Raises:
        TypeError: it is not one number for each row.
    """
    column = np.asarray(made)
    if column.shape != (n,) or column.dtype.kind not in "fiub":
        raise TypeError(f"it returned {column.dtype} {column.shape}, not a number for each of {n} rows")
    return column.astype(np.float64)


def _rounded(numbers: NDArray[np.float64]) -> NDArray[np.float32]:
    with np.errstate(all="ignore"):
        return numbers.astype(np.float32)


def _mark(numbers: NDArray[np.float64], statuses: NDArray[np.uint8], otherwise: Any) -> None:
    """Write the status of what is present but not finite as float32."""
    np.copyto(statuses, otherwise, where=(statuses == _PRESENT) & ~np.isfinite(_rounded(numbers)))


def _locked(column: NDArray[Any]) -> NDArray[Any]:
    """Return a view that nobody can write through: a function may keep its hands off, or not."""
    view = column.view()
    view.flags.writeable = False
    return view
