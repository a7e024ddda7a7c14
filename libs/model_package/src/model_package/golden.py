"""Golden rows: vectors and what the model answered to them when it was packaged."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from model_package.errors import GoldenMismatch, MalformedPackage
from model_package.manifest import GOLDEN, canonical_json
from model_package.signature import DTYPES, Outputs, datatype_of


@dataclass(frozen=True, slots=True)
class Golden:
    """Rows the model must still answer alike wherever it is loaded.

    Attributes:
        vectors: float32[n, F], n at least 1; NaN where a feature's declared default is NaN.
        scores: float64[n].
        tolerance: Greatest difference allowed between floats: absolute up to 1, beyond it as a share of what
            was recorded. Integers, flags and texts must be equal.
        outputs: Every output by name, first axis the rows; empty for a model without a signature.
    """

    vectors: NDArray[np.float32]
    scores: NDArray[np.float64]
    tolerance: float = 1e-5
    outputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) == 0:
            raise ValueError(f"golden vectors must be a non-empty matrix, got shape {self.vectors.shape}")
        if self.scores.shape != (len(self.vectors),):
            raise ValueError(
                f"golden rows and scores differ: {len(self.vectors)} rows, shape {self.scores.shape}"
            )
        if not np.isfinite(self.scores).all():
            raise ValueError("golden scores must be finite")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"the golden tolerance must be within (0, 1), got {self.tolerance}")
        for name, answer in self.outputs.items():
            if not answer.ndim or len(answer) != len(self.vectors):
                raise ValueError(f"golden output {name!r} has shape {answer.shape}, not a row a vector")

    @classmethod
    def of(cls, vectors: NDArray[np.float32], outputs: Outputs, tolerance: float = 1e-5) -> Self:
        """Record what was answered to vectors."""
        return cls(vectors, np.array(outputs.scores, np.float64), tolerance, outputs.named)

    def check(self, found: Outputs, *, uri: str, first_row: int = 0) -> None:
        """Hold what a model answers to what was recorded.

        Args:
            found: What it answers, of one row or more.
            uri: What errors call the package.
            first_row: Which golden row the first of them is.

        Raises:
            GoldenMismatch: An answer is another, or of another type or shape.
        """
        self.check_scores(found.scores, uri=uri, first_row=first_row)
        rows = slice(first_row, first_row + len(found.scores))
        for name, recorded in self.outputs.items():
            self._check_output(name, recorded[rows], found.named.get(name), uri=uri, first_row=first_row)

    def check_scores(self, found: Sequence[float], *, uri: str, first_row: int = 0) -> None:
        """Hold scores to those that were recorded; see `check`."""
        recorded = self.scores[first_row : first_row + len(found)]
        self._refuse_differing("", recorded, np.array(found), uri=uri, first_row=first_row)

    def to_bytes(self) -> bytes:
        """Canonical JSON; a float32 is written exactly, NaN as null."""
        rows = [[None if np.isnan(x) else float(x) for x in row] for row in self.vectors]
        document: dict[str, Any] = {
            "vectors": rows,
            "scores": self.scores.tolist(),
            "tolerance": self.tolerance,
        }
        if self.outputs:
            document["outputs"] = {name: _to_json(answer) for name, answer in self.outputs.items()}
        return canonical_json(document)

    def _check_output(
        self, name: str, recorded: NDArray[Any], found: NDArray[Any] | None, *, uri: str, first_row: int
    ) -> None:
        if found is None or found.dtype != recorded.dtype or found.shape != recorded.shape:
            raise GoldenMismatch(
                uri=uri,
                row=first_row,
                expected=f"{recorded.dtype} {recorded.shape}",
                found="nothing" if found is None else f"{found.dtype} {found.shape}",
                tolerance=self.tolerance,
                output=name,
            )
        self._refuse_differing(name, recorded, found, uri=uri, first_row=first_row)

    def _refuse_differing(
        self, output: str, recorded: NDArray[Any], found: NDArray[Any], *, uri: str, first_row: int
    ) -> None:
        if recorded.dtype.kind == "f":
            allowed = self.tolerance * np.maximum(1.0, np.abs(recorded))
            is_same = np.abs(found - recorded) <= allowed
        else:
            is_same = np.asarray(found == recorded)
        if is_same.all():
            return
        place = tuple(int(index[0]) for index in np.nonzero(~is_same))
        raise GoldenMismatch(
            uri=uri,
            row=first_row + place[0],
            expected=recorded[place].item() if recorded.dtype != object else recorded[place],
            found=found[place].item() if found.dtype != object else found[place],
            tolerance=self.tolerance,
            output=output,
        )


def parse_golden(data: bytes, *, uri: str, width: int) -> Golden:
    """Read golden rows.

    Raises:
        MalformedPackage: They are not as the format says, or not as wide as the model's features.
    """
    try:
        document: dict[str, Any] = json.loads(data)
        # numpy reads None as NaN when told the type.
        vectors = np.array(document["vectors"], dtype=np.float32)
        scores = np.array(document["scores"], dtype=np.float64)
        outputs = {name: _of_json(told) for name, told in document.get("outputs", {}).items()}
        golden = Golden(vectors, scores, document["tolerance"], outputs)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise MalformedPackage(f"{GOLDEN} of package {uri} is not valid: {error!r}") from error
    if golden.vectors.shape[1] != width:
        raise MalformedPackage(
            f"{GOLDEN} of package {uri} has rows of {golden.vectors.shape[1]} values for {width} features"
        )
    return golden


def _to_json(answer: NDArray[Any]) -> dict[str, Any]:
    flat = answer.reshape(-1).tolist()
    return {"datatype": datatype_of(answer.dtype), "shape": list(answer.shape), "values": flat}


def _of_json(told: Mapping[str, Any]) -> NDArray[Any]:
    return np.array(told["values"], DTYPES[told["datatype"]]).reshape(told["shape"])
