"""Models: which features, which label, which examples, and how to train."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from typing import TYPE_CHECKING, Any, Final, Literal

from feature_store.definitions.computed import Derived, Opaque, RequestTime
from feature_store.definitions.dependencies import AnyFeature, Needed
from feature_store.definitions.typing import request_scope
from feature_store.definitions.views import Feature
from feature_store.errors import DefinitionError, Location, caller
from feature_store.expressions import FieldType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from feature_store.definitions.examples import TrainingExamples
    from feature_store.definitions.labels import Label
    from feature_store.definitions.words import ExplainWhen

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_TASKS: Final = ("binary", "multiclass", "regression", "ranking", "embedding")
_BASIS_POINTS: Final = 10_000
_ROUNDING: Final = 1e-12

TrainFunction = Callable[["NDArray[np.float32]", "NDArray[np.float64]", int], Any]
"""(features [n, F], labels [n], seed) -> a fitted scikit-learn classifier, or regressor, as the task is."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ModelSpec:
    """A model to train and serve.

    Attributes:
        name: Lower-case words with dashes, such as "flight-delay".
        features: In the order of the vector.
        label: What it foretells.
        examples: What it learns from; it also declares what a scoring request must carry.
        train: Trains the champion; `train_gradient_boosting` makes the algorithm's name "gradient-boosting".
        challengers: Algorithm name to the function that trains it.
        decision_threshold: At which score the positive class is decided.
        slices: Entities or inputs by which results are also reported.
        seed: What `train` is given for its randomness.
        log: Whether a reply waits until its prediction is recorded ("durable": and fails where it is not) or
            never waits ("async": what finds no room is dropped and counted).
        when_unreadable: What becomes of a request whose rows cannot be read in time, or are damaged: it is
            scored with the declared defaults ("default"), or it fails ("fail") where a wrong score is worse
            than none. A row that is not there, or too old, takes its default either way.
        log_share: Which share of the requests is recorded, in steps of 0.0001: the same requests always, by
            their keys. What is served by events is recorded whole, for there the record is the answer.
        owner: Who looks after it, for whoever reads its alerts.
        risk: How much harm a bad version does; it decides what a release must pass.
        task: What kind of model it is. Versions of "ranking" and "embedding" are packaged by hand: the
            trainer has no measure for them.
        classes: Of a "multiclass" model, the name of each label: label k, a number, is class k.
        explain: Which decisions are explained as they are made; none when left out.
        score_words: What reasons call the score, such as "risk".
    """

    name: str = attribute(kw_only=False)
    features: Sequence[AnyFeature]
    label: Label
    examples: TrainingExamples
    train: TrainFunction
    challengers: Mapping[str, TrainFunction] = attribute(default_factory=dict)
    decision_threshold: float = 0.5
    slices: Sequence[str] = ()
    seed: int = 0
    log: Literal["async", "durable"] = "async"
    when_unreadable: Literal["default", "fail"] = "default"
    log_share: float = 1.0
    owner: str = ""
    risk: Literal["low", "medium", "high"] = "medium"
    task: Literal["binary", "multiclass", "regression", "ranking", "embedding"] = "binary"
    classes: Sequence[str] = ()
    explain: ExplainWhen | None = None
    score_words: str = "score"
    location: Location | None = attribute(default_factory=caller, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            self._refuse(
                "its name is not lower-case words with dashes", 'Write a name such as "flight-delay".'
            )
        if not 0.0 <= self.decision_threshold <= 1.0:
            self._refuse(f"decision_threshold is {self.decision_threshold}", "Write a probability, 0 to 1.")
        if self.log not in {"async", "durable"}:
            self._refuse(f"log is {self.log!r}", 'Write "async" or "durable".')
        if self.when_unreadable not in {"default", "fail"}:
            self._refuse(f"when_unreadable is {self.when_unreadable!r}", 'Write "default" or "fail".')
        self._check_log_share()
        if self.risk not in {"low", "medium", "high"}:
            self._refuse(f"risk is {self.risk!r}", 'Write "low", "medium" or "high".')
        self._check_task()
        self._check_features()
        self._check_slices()
        if self.examples.source.fields.get(self.request_key) is not FieldType.TEXT:
            self._refuse(
                f"its examples have no text field {self.request_key!r} to meet the label's outcomes",
                'Write TrainingExamples(request_key="the field with the request\'s key").',
            )

    @property
    def log_basis_points(self) -> int:
        """The share of the requests that is recorded, of 10,000."""
        return round(self.log_share * _BASIS_POINTS)

    @property
    def algorithm(self) -> str:
        """The name of what `train` trains."""
        name = getattr(self.train, "__name__", "champion")
        return name.removeprefix("train_").replace("_", "-")

    @property
    def algorithms(self) -> Mapping[str, TrainFunction]:
        """Every algorithm by name, the champion's first."""
        return {self.algorithm: self.train, **self.challengers}

    @property
    def request_key(self) -> str:
        """The field of the examples' source by which an outcome finds its example."""
        return self.examples.request_key or self.label.request_key

    def _check_task(self) -> None:
        if self.task not in _TASKS:
            self._refuse(f"task is {self.task!r}", f"Write one of {', '.join(map(repr, _TASKS))}.")
        is_named = len(self.classes) >= 2 and len(set(self.classes)) == len(self.classes)
        if self.task == "multiclass" and not is_named:
            self._refuse(
                f"classes are {list(self.classes)!r}",
                'Name each label once, label 0 first, such as classes=["early", "late", "cancelled"].',
            )
        if self.task != "multiclass" and self.classes:
            self._refuse(
                f"a model of task {self.task!r} has classes", 'Leave them out, or task="multiclass".'
            )

    def _check_log_share(self) -> None:
        is_share = 0.0 < self.log_share <= 1.0
        if not is_share or abs(self.log_basis_points / _BASIS_POINTS - self.log_share) > _ROUNDING:
            self._refuse(f"log_share is {self.log_share}", "Write 0.0001 to 1, in steps of 0.0001.")
        if self.log == "durable" and self.log_share < 1.0:
            self._refuse(
                f"log_share is {self.log_share}, and it logs durably",
                'Leave log_share out, or write log="async".',
            )

    def _check_features(self) -> None:
        if not self.features:
            self._refuse("it has no features", "Write features=[...] with at least one.")
        listed: Sequence[object] = self.features
        for feature in listed:
            if not isinstance(feature, Feature | RequestTime | Derived | Opaque):
                self._refuse(f"{feature!r} is no feature", "List MyView.my_aggregation, or a RequestTime.")
        seen: set[str] = set()
        for feature in self.features:
            if feature.full_name in seen:
                self._refuse(f"feature {feature.full_name!r} is listed twice", "Remove one.")
            seen.add(feature.full_name)
        self._check_needed(Needed.of(self.features))

    def _check_needed(self, needed: Needed) -> None:
        scope = request_scope(self.examples.inputs, self.examples.entities)
        for leaf in needed.leaves:
            if isinstance(leaf, RequestTime):
                leaf.check(scope)
            else:
                self._check_entity(leaf)
        kinds = {one.full_name: FieldType.NUMBER for one in (*needed.leaves, *needed.derived)}
        for feature in needed.derived:
            feature.check(replace(scope, features=kinds))

    def _check_entity(self, feature: Feature) -> None:
        for name in feature.view.entity.parts:
            if name not in self.examples.entities:
                problem = f"feature {feature.full_name!r} needs entity {name!r}, which its examples lack"
                self._refuse(
                    problem, f'Write TrainingExamples(entities={{"{name}": "the field with its key"}}).'
                )

    def _check_slices(self) -> None:
        known = {**self.examples.entities, **self.examples.context}
        for name in self.slices:
            if name not in known:
                self._refuse(
                    f"slice {name!r} is no entity or input of its examples",
                    f"Known: {', '.join(sorted(known))}.",
                )

    def _refuse(self, problem: str, instead: str) -> None:
        raise DefinitionError(f"ModelSpec({self.name!r})", problem, instead=instead, at=self.location)
