"""What a project calls its features and scores, and which decisions it wants explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_store import Contract
from feature_store.said import named, said

from inference.domain.explanations import SCORE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feature_store import ExplainWhen, ModelSpec, Project
    from feature_store.said import Said

    from inference.domain.explanations import Explained


class Vocabulary:
    """A project's words; without a project, the features' names.

    Args:
        project: Declares features and models.
    """

    def __init__(self, project: Project | None) -> None:
        self._models: Mapping[str, ModelSpec] = {} if project is None else project.models
        self._said: dict[str, tuple[str, Sequence[Said]]] = {}
        for name, spec in self._models.items():
            contract = Contract.of(spec)
            self._said[name] = contract.hash.hex(), [said(feature) for feature in contract.features]

    @property
    def policies(self) -> Mapping[str, ExplainWhen]:
        """By model, which decisions are explained as they are made."""
        return {name: spec.explain for name, spec in self._models.items() if spec.explain is not None}

    def said_of(self, explained: Explained) -> Sequence[Said]:
        """Return how a vector's features are said.

        In the project's words where its contract is the version's; else the project has moved on, and the
        features are called by their names.
        """
        contract_hash, words = self._said.get(explained.model, ("", ()))
        if contract_hash == explained.contract_hash:
            return words
        return [named(name) for name in explained.feature_names]

    def score_words(self, explained: Explained) -> str:
        """Return what the explained number is called."""
        if explained.class_name:
            return f"probability of {explained.class_name!r}"
        if explained.target.output != SCORE:
            return f"{explained.target.output}[{explained.target.element}]"
        spec = self._models.get(explained.model)
        return SCORE if spec is None else spec.score_words
