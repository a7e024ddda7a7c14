"""What can be asked for: a model's contract, or a list of features, which is a contract of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Self

from feature_store.contract import Contract
from feature_store.definitions import AnyFeature, Feature
from feature_store.errors import did_you_mean
from feature_store.online import VectorAssembler
from feature_store.rows import version_of

from feature.domain.errors import InvalidRequest, NotDeclared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from feature_store import Project

MAX_FEATURES: Final = 512
_LISTS_KEPT: Final = 64
"""An assembler takes milliseconds to make; callers ask for few lists, over and over."""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A contract with what makes its vectors, and the versions of its views."""

    contract: Contract
    assembler: VectorAssembler
    versions: tuple[str, ...]

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """Return a contract that is ready to be asked for."""
        versions = tuple(version_of(view.digest) for view in contract.views)
        return cls(contract, VectorAssembler(contract), versions)


class Contracts:
    """The contracts of one project, each with its assembler, made when first asked for."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._features = _features_of(project)
        self._inputs = {
            name: kind for model in project.models.values() for name, kind in model.examples.inputs.items()
        }
        self._models: dict[str, Served] = {}
        self._of_names = lru_cache(maxsize=_LISTS_KEPT)(self._make)

    def of_model(self, model: str) -> Served:
        """Return a model's contract.

        Raises:
            InvalidRequest: The name is empty.
            NotDeclared: The project has no such model.
        """
        if not model:
            raise InvalidRequest("model", "is empty: name a model, or features")
        if model not in self._models:
            if model not in self._project.models:
                hint = did_you_mean(model, self._project.models)
                raise NotDeclared("model", f"there is no {model!r}. {hint}")
            contract = self._project.contract(model)
            self._models[model] = Served.of(contract)
        return self._models[model]

    def of_features(self, names: tuple[str, ...]) -> Served:
        """Return the contract that these features make up, in this order.

        Raises:
            InvalidRequest: There is none, one is named twice, or there are too many.
            NotDeclared: The project has no such feature.
        """
        field = "features.names"
        if not 1 <= len(names) <= MAX_FEATURES:
            raise InvalidRequest(field, f"has {len(names)} entries, which must be 1 to {MAX_FEATURES}")
        seen: set[str] = set()
        for index, name in enumerate(names):
            if name not in self._features:
                hint = did_you_mean(name, self._features)
                raise NotDeclared(f"{field}[{index}]", f"there is no {name!r}. {hint}")
            if name in seen:
                raise InvalidRequest(f"{field}[{index}]", f"{name!r} is named twice")
            seen.add(name)
        return self._of_names(names)

    def _make(self, names: tuple[str, ...]) -> Served:
        contract = Contract.over("", [self._features[name] for name in names], self._inputs)
        return Served.of(contract)


def _features_of(project: Project) -> Mapping[str, AnyFeature]:
    """Return every feature by its full name; of computed ones those that some model uses."""
    kept: Iterator[AnyFeature] = (
        Feature(view, name, aggregation)
        for view in project.views.values()
        for name, aggregation in view.aggregations.items()
    )
    used = (
        feature
        for model in project.models.values()
        for feature in model.features
        if not isinstance(feature, Feature)
    )
    return {feature.full_name: feature for feature in (*kept, *used)}
