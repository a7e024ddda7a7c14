"""The optional background of a package: training vectors in place of what an explanation leaves out."""

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model_package.errors import MalformedPackage
from model_package.manifest import canonical_json

BACKGROUND: Final = "background.json"


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """A sample of the vectors that a model was trained on.

    Attributes:
        vectors: float32[n, F], n at least 1, finite.
    """

    vectors: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or len(self.vectors) == 0:
            raise ValueError(f"background vectors must be a non-empty matrix, got shape {self.vectors.shape}")
        if not np.isfinite(self.vectors).all():
            raise ValueError("background vectors must be finite")

    def to_bytes(self) -> bytes:
        """Canonical JSON; a float32 is written exactly."""
        return canonical_json({"vectors": self.vectors.tolist()})


def parse_background(data: bytes | None, *, uri: str, width: int) -> Background | None:
    """Read a background: None where the package has none.

    Raises:
        MalformedPackage: It is not as the format says, or not as wide as the model's features.
    """
    if data is None:
        return None
    try:
        document: dict[str, Any] = json.loads(data)
        background = Background(np.array(document["vectors"], dtype=np.float32))
    except (ValueError, TypeError, KeyError) as error:
        raise MalformedPackage(f"{BACKGROUND} of package {uri} is not valid: {error!r}") from error
    found = background.vectors.shape[1]
    if found != width:
        raise MalformedPackage(
            f"{BACKGROUND} of package {uri} has rows of {found} values for {width} features"
        )
    return background
