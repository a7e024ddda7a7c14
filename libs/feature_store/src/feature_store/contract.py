"""The contract between a model and its features: the order, meaning and identity of a vector."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from feature_store.definitions import (
    AnyFeature,
    Derived,
    Feature,
    ModelSpec,
    Needed,
    Opaque,
    RequestTime,
    View,
)
from feature_store.expressions import vocabulary_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from feature_store.expressions import Expression, FieldType

_VERSION: Final = 1


@dataclass(frozen=True, eq=False)
class Contract:
    """What a model's vector is.

    Attributes:
        model: The model's name. It is no part of the hash: two models may share a contract.
        features: In the order of the vector.
        views: The views of what they are computed from, in the order of first use; each lies in one row a
            request.
        inputs: The request-time inputs that they read, with their types.
        leaves: The features of rows and of the request alone that vectors are computed from: those of the
            vector, in its order, then those that only derived features read.
        derived: The derived and opaque features that vectors are computed from, each behind what it reads.
    """

    model: str
    features: tuple[AnyFeature, ...]
    views: tuple[View, ...]
    inputs: Mapping[str, FieldType]
    leaves: tuple[Feature | RequestTime, ...]
    derived: tuple[Derived | Opaque, ...]

    @classmethod
    def of(cls, spec: ModelSpec) -> Contract:
        """Return the contract of a model."""
        return cls.over(spec.name, spec.features, spec.examples.inputs)

    @classmethod
    def over(cls, model: str, features: Sequence[AnyFeature], inputs: Mapping[str, FieldType]) -> Contract:
        """Return the contract of a vector of features.

        Args:
            model: Whose it is; empty for nobody's.
            features: In the order of the vector.
            inputs: Types of what requests may carry; those that no feature reads are left out.
        """
        needed = Needed.of(features)
        views = tuple(dict.fromkeys(leaf.view for leaf in needed.leaves if isinstance(leaf, Feature)))
        read = {name for one in _expressions(needed.leaves, needed.derived) for name in one.requests()}
        given = {name: kind for name, kind in inputs.items() if name in read}
        return cls(model, tuple(features), views, given, needed.leaves, needed.derived)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The full names, in the order of the vector."""
        return tuple(feature.full_name for feature in self.features)

    @cached_property
    def entities(self) -> tuple[str, ...]:
        """The names of the entities, or of the parts of their keys, that a request must carry.

        In the order of first use: by views, then by expressions. Each is asked for once.
        """
        parts = [part for view in self.views for part in view.entity.parts]
        return tuple(dict.fromkeys([*parts, *self.entity_keys]))

    @cached_property
    def entity_keys(self) -> tuple[str, ...]:
        """Those of `entities` that expressions read."""
        expressions = _expressions(self.leaves, self.derived)
        return tuple(dict.fromkeys(name for one in expressions for name in one.entity_keys()))

    @cached_property
    def defaults(self) -> NDArray[np.float32]:
        """What stands in the vector where a feature has no value."""
        defaults = np.array([feature.default for feature in self.features], dtype=np.float32) + np.float32(0)
        defaults.flags.writeable = False
        return defaults

    @cached_property
    def vocabularies(self) -> Mapping[str, tuple[str, ...]]:
        """The members of every feature that is a `category`, by its name: number k stands for member k."""
        found = {
            feature.full_name: vocabulary_of(feature.expression)
            for feature in self.features
            if isinstance(feature, RequestTime | Derived)
        }
        return {name: members for name, members in found.items() if members}

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
        unlisted = [
            _describe(feature)
            for feature in (*self.leaves, *self.derived)
            if feature.full_name not in self.feature_names
        ]
        if unlisted:
            content["operands"] = unlisted
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _expressions(
    leaves: Iterable[Feature | RequestTime], derived: Iterable[Derived | Opaque]
) -> list[Expression]:
    """Return what features are computed from."""
    computed = [leaf for leaf in leaves if isinstance(leaf, RequestTime)]
    return [expression for feature in (*computed, *derived) for expression in feature.expressions]


def _describe(feature: AnyFeature) -> dict[str, Any]:
    match feature:
        case Feature():
            return {"name": feature.full_name, **feature.view.canonical_of(feature.aggregation)}
        case RequestTime():
            meaning: Any = {"request": _tree(feature.expression)}
        case Derived():
            meaning = {"derived": _tree(feature.expression)}
        case Opaque():
            inputs = {name: _tree(given) for name, given in feature.inputs.items()}
            meaning = {"opaque": {"source": feature.source_hash, "inputs": inputs}}
    return {"name": feature.full_name, **meaning, "default": float(feature.default)}


def _tree(expression: Expression) -> Any:
    return json.loads(expression.canonical())
