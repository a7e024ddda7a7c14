"""What a manifest says of its graph that the graph cannot say itself: `signature` in `manifest.json`."""

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from model_package.signature import Task

Name = Annotated[str, Field(min_length=1, max_length=128)]
_CLASSIFIERS = frozenset({"binary", "multiclass"})
_READ_WHOLE = frozenset({"multiclass", "embedding"})


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ScoreSource(_Declared):
    """Which output the score is made of.

    Attributes:
        output: Its name.
        column: Which number of a row is the score. None: of a binary classifier the last, else the only one.
            A task whose score is made of the whole row has none.
    """

    output: Name
    column: Annotated[int, Field(ge=0)] | None = None


class GraphInput(_Declared):
    """An input of the graph, one column a feature, in this order."""

    name: Name
    features: Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]


class Vocabulary(_Declared):
    """Which text a number of the vector stands for.

    Attributes:
        members: Number k stands for member k.
        unknown: What any other number stands for, NaN included.
    """

    members: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    unknown: str = ""

    @model_validator(mode="after")
    def _members_differ(self) -> Self:
        _refuse_repeated("members of a vocabulary", self.members)
        return self


class DeclaredSignature(_Declared):
    """A model's task, and how vectors become its inputs and its outputs a score.

    Attributes:
        task: What kind of model it is.
        score: What its score is made of.
        classes: What the columns of the probabilities stand for; only classifiers have classes.
        inputs: What each input of the graph is fed with; empty: one float32 input takes the whole vector.
        vocabularies: Of the features that an input takes as texts, by feature.
        outputs: Which outputs of the graph are answered, in this order; empty: all of them.
    """

    task: Task
    score: ScoreSource
    classes: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    inputs: Annotated[tuple[GraphInput, ...], Field(strict=False)] = ()
    vocabularies: dict[Name, Vocabulary] = {}
    outputs: Annotated[tuple[Name, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _refuse_repeated("classes", self.classes)
        _refuse_repeated("inputs", [given.name for given in self.inputs])
        _refuse_repeated("outputs", self.outputs)
        if self.classes and self.task not in _CLASSIFIERS:
            raise ValueError(f"task {self.task!r} has no classes: leave them out")
        if self.score.column is not None and self.task in _READ_WHOLE:
            raise ValueError(f"the score of task {self.task!r} is made of a whole row: leave column out")
        if self.outputs and self.score.output not in self.outputs:
            raise ValueError(f"the score's output {self.score.output!r} must be among outputs {self.outputs}")
        return self

    def features_named(self) -> set[str]:
        """Every feature that it speaks of."""
        return {name for given in self.inputs for name in given.features} | self.vocabularies.keys()


def _refuse_repeated(what: str, names: Iterable[str]) -> None:
    seen = list(names)
    repeated = sorted({name for name in seen if seen.count(name) > 1})
    if repeated:
        raise ValueError(f"{what} must be unique, repeated: {repeated}")
