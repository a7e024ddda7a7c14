"""What stands in a vector where a feature has no value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from feature_store.errors import DefinitionError

if TYPE_CHECKING:
    from feature_store.errors import Location

_LARGEST: Final = float(np.finfo(np.float32).max)


def check_default(default: object, definition: str, at: Location | None) -> None:
    """Check that a default is a number that float32 can hold: no vector holds a NaN.

    Raises:
        DefinitionError: it is not.
    """
    if not isinstance(default, (int, float)) or not math.isfinite(default) or abs(default) > _LARGEST:
        problem = f"default {default!r} is not finite as float32"
        raise DefinitionError(definition, problem, instead="Write a finite number.", at=at)
