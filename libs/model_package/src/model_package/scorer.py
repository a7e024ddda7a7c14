"""Scoring vectors with a package on ONNX Runtime."""

import math
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from model_package.errors import MalformedPackage, NonFiniteScore, PackageError, UnusableModel, VectorMismatch
from model_package.graph import Graph
from model_package.package import Package
from model_package.signature import DTYPES, Outputs, Signature, TensorSpec


class Scorer:
    """A package ready to score: one thread, no spinning, so that processes share cores fairly.

    For one caller at a time.

    Attributes:
        signature: What the model reads and answers.
        has_more: Whether it answers more than its score, which `run` then gives.

    Raises:
        UnusableModel: The graph cannot be loaded or is not as the manifest's signature says; without one,
            it has not one float32 input [n, F] and an output `score` [n, 1] or `probabilities` [n, 2].
    """

    def __init__(self, package: Package) -> None:
        self.package = package
        self._graph = Graph(package.model, package.manifest, package.uri)
        self.width: Final = self._graph.width
        self.signature: Final[Signature] = self._graph.signature
        self.score_output: Final = self._graph.score.output
        self.has_more: Final = self._graph.has_more
        self._plain = _Plain(self._graph) if self._graph.is_plain else None

    def score(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """The score of each vector: of a classifier of two classes the probability of the positive one.

        Args:
            vectors: float32[n, F], C-contiguous, in the order of the manifest's feature names.

        Returns:
            float64[n].

        Raises:
            VectorMismatch: The array is not float32 [n, F], or a number does not fit the graph's input.
            NonFiniteScore: The model answered NaN or infinity.
            FailedRun: The graph raised an error.
        """
        return np.array(self.score_list(vectors), dtype=np.float64)

    def score_list(self, vectors: NDArray[np.float32]) -> list[float]:
        """The same as `score`, as a list: what serving needs, without an array on the way."""
        if self._plain is None:
            return self._graph.run(vectors).scores
        if vectors.ndim != 2 or vectors.shape[1] != self.width or vectors.dtype != np.float32:
            raise VectorMismatch(
                f"{self.package.version} reads float32 [n, {self.width}], got {vectors.dtype} {vectors.shape}"
            )
        scores = self._plain.scores(vectors)
        if not all(map(math.isfinite, scores)):
            row = next(row for row, score in enumerate(scores) if not math.isfinite(score))
            raise NonFiniteScore(uri=self.package.uri, row=row, found=scores[row])
        return scores

    def run(self, vectors: NDArray[np.float32]) -> Outputs:
        """Every output for each vector, and its score; raises as `score` does."""
        return self._graph.run(vectors)

    def answer(self, vectors: NDArray[np.float32]) -> Outputs:
        """The score of each vector, and every output where there is more; none by name where there is not."""
        return self.run(vectors) if self.has_more else Outputs(self.score_list(vectors), {})

    def warm(self) -> None:
        """Answer the golden rows, one by one and together, so that a first request finds all allocated.

        Raises:
            GoldenMismatch: An answer is not the recorded one.
            UnusableModel: The graph cannot run on its own golden rows.
            MalformedPackage: There is a signature, and the golden rows lack an output.
        """
        golden, uri = self.package.golden, self.package.uri
        self._check_whole()
        try:
            golden.check(self.run(golden.vectors), uri=uri)
            for row, vector in enumerate(golden.vectors):
                golden.check(self.run(vector[np.newaxis]), uri=uri, first_row=row)
            self._check_plain()
        except PackageError:
            raise
        except Exception as error:  # ONNX Runtime's own classes share no public base
            raise UnusableModel(f"package {uri} fails on its golden rows: {error}") from error

    def _check_whole(self) -> None:
        answered = {output.name for output in self.signature.outputs}
        lacking = sorted(answered - self.package.golden.outputs.keys())
        if lacking and self.package.manifest.signature is not None:
            raise MalformedPackage(
                f"the golden rows of package {self.package.uri} lack outputs {lacking}: record_golden makes "
                "them"
            )

    def _check_plain(self) -> None:
        golden, uri = self.package.golden, self.package.uri
        golden.check_scores(self.score_list(golden.vectors), uri=uri)
        for row, vector in enumerate(golden.vectors):
            golden.check_scores(self.score_list(vector[np.newaxis]), uri=uri, first_row=row)


class _Plain:
    """The short way for graphs that take the vector and answer one number, or two probabilities, a row."""

    def __init__(self, graph: Graph) -> None:
        (given,), (answered,) = graph.signature.inputs, graph.signature.outputs
        column = graph.score.column
        self._session = graph.session
        self._input = given.name
        self._outputs = [answered.name]
        self._column = answered.shape[0] - 1 if column is None else column
        self._alone = _Alone(graph.session, given, answered)

    def scores(self, vectors: NDArray[np.float32]) -> list[float]:
        """The score of each vector, whether finite or not."""
        if len(vectors) == 1:
            output = self._alone.run(vectors)
        else:
            (output,) = self._session.run(self._outputs, {self._input: vectors})
        scores: list[float] = output[:, self._column].tolist()
        return scores


class _Alone:
    """A session bound to arrays for a single vector: half the cost of passing arrays in and out."""

    def __init__(self, session: ort.InferenceSession, given: TensorSpec, answered: TensorSpec) -> None:
        self._session = session
        self._vector = np.zeros((1, *given.shape), np.float32)
        self._answer = np.zeros((1, *answered.shape), DTYPES[answered.datatype])
        # On a processor an OrtValue is the array's own memory.
        self._bound = (
            ort.OrtValue.ortvalue_from_numpy(self._vector),
            ort.OrtValue.ortvalue_from_numpy(self._answer),
        )
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(given.name, self._bound[0])
        self._binding.bind_ortvalue_output(answered.name, self._bound[1])

    def run(self, vector: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Give the output for one vector; it is overwritten by the next."""
        np.copyto(self._vector, vector)
        self._session.run_with_iobinding(self._binding)
        return self._answer
