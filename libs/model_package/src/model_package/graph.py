"""A model's graph, opened: fed with vectors, its answers checked and its score made."""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model_package.binding import (
    bind_inputs,
    bind_outputs,
    find_undeclared_score,
    find_whole_vector,
    problem_with_width,
)
from model_package.declared import DeclaredSignature
from model_package.errors import FailedRun, NonFiniteScore, UnusableModel, VectorMismatch
from model_package.feeding import Feed, WholeVector
from model_package.manifest import Facts
from model_package.scores import scores_of
from model_package.session import open_session
from model_package.signature import Outputs, Signature, TensorSpec

_FLOATS: Final = frozenset({"FP32", "FP64"})


class Graph:
    """One session and what is known of it. For one caller at a time.

    Args:
        model: The ONNX graph.
        facts: Which features a vector has, and the signature; without one it is a classifier of two classes
            with one float32 input [n, F] and an output `score` [n, 1] or `probabilities` [n, 2].
        uri: What errors call the package.

    Attributes:
        signature: What it reads and answers.
        score: Which output its score is made of, and which number of a row.
        has_more: Whether it answers more than its score.

    Raises:
        UnusableModel: The graph cannot be loaded, or is not as the signature says.
    """

    def __init__(self, model: bytes, facts: Facts, uri: str) -> None:
        self._uri = uri
        what = f"package {uri}"
        self.width: Final = len(facts.feature_names)
        self.session: Final = open_session(model, f"the model of {what}")
        if facts.signature is None:
            given = find_whole_vector(self.session, what, self.width)
            answered, self.score = find_undeclared_score(self.session, what)
            self._declared = DeclaredSignature(task="binary", score=self.score)
            self._feed: Feed = WholeVector(given.name)
            self.signature = Signature("binary", (answered,), (given,))
            self.has_more = False
        else:
            self._declared, self.score = facts.signature, facts.signature.score
            inputs, self._feed = bind_inputs(self.session, what, facts.feature_names, self._declared)
            outputs = bind_outputs(self.session, what, self._declared)
            self.signature = Signature(self._declared.task, outputs, inputs, self._declared.classes)
            self.has_more = len(outputs) > 1 or outputs[0].shape not in {(), (1,)}
        self._names = [output.name for output in self.signature.outputs]

    @property
    def is_plain(self) -> bool:
        """Whether the whole vector goes in and nothing but floats of a known width comes out."""
        output = self.signature.outputs[0]
        return (
            isinstance(self._feed, WholeVector)
            and not self.has_more
            and output.datatype in _FLOATS
            and len(output.shape) == 1
        )

    def run(self, vectors: NDArray[np.float32]) -> Outputs:
        """Answer vectors.

        Args:
            vectors: float32[n, F], C-contiguous, in the order of the manifest's feature names.

        Raises:
            VectorMismatch: The array is not float32 [n, F], or a number does not fit its input.
            FailedRun: The graph raised an error.
            UnusableModel: It answered something else than a row a vector.
            NonFiniteScore: It answered NaN or infinity.
        """
        self.check(vectors)
        feeds = self._feed(vectors)
        try:
            answers = self.session.run(self._names, feeds)
        except Exception as error:  # ONNX Runtime's own classes share no public base
            raise FailedRun(f"package {self._uri} failed on {len(vectors)} rows: {error}") from error
        named = dict(zip(self._names, answers, strict=True))
        for spec in self.signature.outputs:
            self._check_answer(spec, named[spec.name], len(vectors))
        return Outputs(self._scores(named).tolist(), named)

    def check(self, vectors: NDArray[np.float32]) -> None:
        """Refuse what is no batch of vectors.

        Raises:
            VectorMismatch: The array is not float32 [n, F].
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.width or vectors.dtype != np.float32:
            raise VectorMismatch(
                f"package {self._uri} reads float32 [n, {self.width}], got {vectors.dtype} {vectors.shape}"
            )

    def _check_answer(self, spec: TensorSpec, answer: NDArray[Any], rows: int) -> None:
        if not answer.ndim or len(answer) != rows:
            raise UnusableModel(
                f"package {self._uri} answered {spec.name!r} with shape {answer.shape} for {rows} rows: "
                "every output must have a row a vector"
            )
        if spec.datatype in _FLOATS and not np.isfinite(answer).all():
            flat = answer.reshape(rows, -1)
            row, column = (int(place[0]) for place in np.nonzero(~np.isfinite(flat)))
            raise NonFiniteScore(uri=self._uri, row=row, found=float(flat[row, column]), output=spec.name)

    def _scores(self, named: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
        answer = named[self.score.output]
        width = math.prod(answer.shape[1:])
        problem = problem_with_width(width, self._declared)
        if problem:
            raise UnusableModel(f"package {self._uri}: {problem}")
        numbers = answer.reshape(len(answer), width).astype(np.float64)
        scores = scores_of(numbers, self.signature.task, self.score.column)
        if not np.isfinite(scores).all():
            row = int(np.argmin(np.isfinite(scores)))
            raise NonFiniteScore(uri=self._uri, row=row, found=float(scores[row]))
        return scores
