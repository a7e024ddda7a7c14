"""What a model's features need: the features that they read, in an order in which they can be computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_store.definitions.computed import Derived, Opaque, RequestTime
from feature_store.definitions.views import Feature
from feature_store.errors import DefinitionError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from feature_store.expressions import FeatureValue

AnyFeature = Feature | RequestTime | Derived | Opaque


@dataclass(frozen=True, slots=True, eq=False)
class Needed:
    """What vectors are computed from.

    Attributes:
        leaves: Features of rows and of the request alone: those listed, in order, then others that are read.
        derived: The others, each behind all that it reads.
    """

    leaves: tuple[Feature | RequestTime, ...]
    derived: tuple[Derived | Opaque, ...]

    @classmethod
    def of(cls, features: Sequence[AnyFeature]) -> Needed:
        """Return what the features listed by a model need.

        Raises:
            DefinitionError: a name is unknown, two features share one, or features read each other in a
                circle.
        """
        known = _Known(features)
        leaves = [feature for feature in features if isinstance(feature, Feature | RequestTime)]
        derived: dict[str, Derived | Opaque] = {}
        for feature in features:
            _visit(feature, known, leaves, derived, ())
        return cls(tuple(leaves), tuple(derived.values()))


class _Known:
    """Features by name: those listed, and those that they refer to."""

    def __init__(self, features: Iterable[AnyFeature]) -> None:
        self.by_name: dict[str, AnyFeature] = {}
        pending = list(features)
        while pending:
            feature = pending.pop()
            name = feature.full_name
            if name in self.by_name:
                _demand_same(self.by_name[name], feature)
                continue
            self.by_name[name] = feature
            if isinstance(feature, Derived | Opaque):
                pending += [
                    _referred(feature, one) for one in feature.operands if not isinstance(one.of, str)
                ]

    def find(self, reader: Derived | Opaque, operand: FeatureValue) -> AnyFeature:
        """Return the feature that an operand names."""
        found = self.by_name.get(operand.full_name)
        if found is None:
            problem = f"{operand} is no feature of the model"
            instead = did_you_mean(operand.full_name, self.by_name)
            raise DefinitionError(reader.label, problem, instead=instead, at=reader.location)
        return found


def _referred(reader: Derived | Opaque, operand: FeatureValue) -> AnyFeature:
    if isinstance(operand.of, Feature | RequestTime | Derived | Opaque):
        return operand.of
    instead = "Name MyView.my_aggregation, a RequestTime, a Derived or an Opaque one."
    raise DefinitionError(reader.label, f"{operand.of!r} is no feature", instead=instead, at=reader.location)


def _demand_same(known: AnyFeature, other: AnyFeature) -> None:
    if isinstance(known, Feature) and isinstance(other, Feature):
        # Each look at a view's attribute makes a new Feature.
        same = known.view is other.view and known.aggregation is other.aggregation
    else:
        same = known is other
    if not same:
        at = None if isinstance(other, Feature) else other.location
        problem = "another feature that the model needs has this name"
        raise DefinitionError(f"feature {other.full_name!r}", problem, instead="Rename one of them.", at=at)


def _visit(
    feature: AnyFeature,
    known: _Known,
    leaves: list[Feature | RequestTime],
    derived: dict[str, Derived | Opaque],
    readers: tuple[str, ...],
) -> None:
    """Add a feature behind all that it reads; `readers` are on the way from the list to it."""
    name = feature.full_name
    if isinstance(feature, Feature | RequestTime):
        if all(leaf.full_name != name for leaf in leaves):
            leaves.append(feature)
        return
    if name in readers:
        circle = " -> ".join((*readers[readers.index(name) :], name))
        instead = "Let one of them read the features that the others are made of."
        raise DefinitionError(
            feature.label, f"it reads itself: {circle}", instead=instead, at=feature.location
        )
    if name not in derived:
        for operand in feature.operands:
            _visit(known.find(feature, operand), known, leaves, derived, (*readers, name))
        derived[name] = feature
