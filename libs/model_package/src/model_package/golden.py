"""Golden rows: vectors and the scores they had when the model was packaged."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_package.errors import MalformedPackage
from model_package.manifest import GOLDEN, canonical_json


@dataclass(frozen=True, slots=True)
class Golden:
    """Rows the model must still score alike wherever it is loaded.

    Attributes:
        vectors: float32[n, F], n at least 1; NaN where a feature's declared default is NaN.
        scores: float64[n], probabilities of the positive class.
        tolerance: Greatest absolute difference allowed.
    """

    vectors: NDArray[np.float32]
    scores: NDArray[np.float64]
    tolerance: float = 1e-5

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

    def to_bytes(self) -> bytes:
        """Canonical JSON; a float32 is written exactly, NaN as null."""
        rows = [[None if np.isnan(x) else float(x) for x in row] for row in self.vectors]
        document = {"vectors": rows, "scores": self.scores.tolist(), "tolerance": self.tolerance}
        return canonical_json(document)


def parse_golden(data: bytes, *, uri: str, width: int) -> Golden:
    """Read golden rows.

    Raises:
        MalformedPackage: They are not as the format says, or not as wide as the model's features.
    """
    try:
        document: dict[str, Any] = json.loads(data)
        # numpy reads None as NaN when told the type.
        vectors = np.array(document["vectors"], dtype=np.float32)
        golden = Golden(vectors, np.array(document["scores"], dtype=np.float64), document["tolerance"])
    except (ValueError, TypeError, KeyError) as error:
        raise MalformedPackage(f"{GOLDEN} of package {uri} is not valid: {error!r}") from error
    if golden.vectors.shape[1] != width:
        raise MalformedPackage(
            f"{GOLDEN} of package {uri} has rows of {golden.vectors.shape[1]} values for {width} features"
        )
    return golden
