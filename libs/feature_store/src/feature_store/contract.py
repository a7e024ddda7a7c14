"""The contract between a model and its features: the order, meaning and identity of a vector."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_store.definitions import Feature, ModelSpec, RequestTime, View

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from feature_store.expressions import FieldType

_VERSION: Final = 1


@dataclass(frozen=True, eq=False)
class Contract:
    """What a model's vector is.

    Attributes:
        model: The model's name. It is no part of the hash: two models may share a contract.
        features: In the order of the vector.
        views: The views of these features, in the order of first use; each lies in one row a request.
        inputs: The request-time inputs that the features read, with their types.
    """

    model: str
    features: tuple[Feature | RequestTime, ...]
    views: tuple[View, ...]
    inputs: Mapping[str, FieldType]

    @classmethod
    def of(cls, spec: ModelSpec) -> Contract:
        """Return the contract of a model."""
        features = tuple(spec.features)
        views = tuple(dict.fromkeys(feature.view for feature in features if isinstance(feature, Feature)))
        read = {
            name
            for feature in features
            if isinstance(feature, RequestTime)
            for name in feature.expression.requests()
        }
        inputs = {name: kind for name, kind in spec.examples.inputs.items() if name in read}
        return cls(spec.name, features, views, inputs)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The full names, in the order of the vector."""
        return tuple(feature.full_name for feature in self.features)

    @cached_property
    def entities(self) -> tuple[str, ...]:
        """The names of the entities whose keys a request must carry, in the order of first use."""
        return tuple(dict.fromkeys(view.entity.name for view in self.views))

    @cached_property
    def defaults(self) -> NDArray[np.float32]:
        """What stands in the vector where a feature has no value."""
        defaults = np.array([feature.default for feature in self.features], dtype=np.float32)
        defaults.flags.writeable = False
        return defaults

    @cached_property
    def hash(self) -> bytes:
        """SHA-256 over `canonical`: equal where, and only where, every vector means the same."""
        return hashlib.sha256(self.canonical().encode()).digest()

    def canonical(self) -> str:
        """Return everything that changes a value of the vector, as compact JSON with sorted keys."""
        content = {
            "version": _VERSION,
            "dtype": "float32",
            "features": [_describe(feature) for feature in self.features],
            "views": [view.canonical() for view in self.views],
            "inputs": {name: str(kind) for name, kind in self.inputs.items()},
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _describe(feature: Feature | RequestTime) -> dict[str, Any]:
    if isinstance(feature, Feature):
        return {"name": feature.full_name, **feature.aggregation.canonical()}
    expression = json.loads(feature.expression.canonical())
    return {"name": feature.full_name, "request": expression, "default": float(feature.default)}
