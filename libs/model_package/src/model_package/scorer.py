"""Scoring vectors with a package on ONNX Runtime."""

import math
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from model_package.errors import GoldenMismatch, NonFiniteScore, PackageError, UnusableModel, VectorMismatch
from model_package.package import Package

_DTYPES: Final = {"tensor(float)": np.float32, "tensor(double)": np.float64}
# Output name to its allowed width.
_OUTPUT_WIDTH: Final = {"score": 1, "probabilities": 2}


class Scorer:
    """A package ready to score: one thread, no spinning, so that processes share cores fairly.

    For one caller at a time. The graph has one float32 input [n, F] and either an output `score` [n, 1] or an
    output `probabilities` [n, 2], the positive class second.

    Raises:
        UnusableModel: The graph cannot be loaded or has not that shape.
    """

    def __init__(self, package: Package) -> None:
        self.package = package
        self.width: Final = len(package.manifest.feature_names)
        self._session = open_session(package.model, f"the model of package {package.uri}")
        self._input = _find_input(self._session, package, self.width)
        output = _find_output(self._session, package)
        self._outputs = [output.name]
        self._alone = _Alone(self._session, self._input, self.width, output)

    def score(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """The probability of the positive class of each vector.

        Args:
            vectors: float32[n, F], C-contiguous, in the order of the manifest's feature names.

        Returns:
            float64[n].

        Raises:
            VectorMismatch: The array is not float32 [n, F].
            NonFiniteScore: The model answered NaN or infinity.
        """
        return np.array(self.score_list(vectors), dtype=np.float64)

    def score_list(self, vectors: NDArray[np.float32]) -> list[float]:
        """The same as `score`, as a list: what serving needs, without an array on the way."""
        if vectors.ndim != 2 or vectors.shape[1] != self.width or vectors.dtype != np.float32:
            raise VectorMismatch(
                f"{self.package.version} reads float32 [n, {self.width}], got {vectors.dtype} {vectors.shape}"
            )
        if len(vectors) == 1:
            output = self._alone.run(vectors)
        else:
            (output,) = self._session.run(self._outputs, {self._input: vectors})
        scores: list[float] = output[:, -1].tolist()
        if not all(map(math.isfinite, scores)):
            row = next(row for row, score in enumerate(scores) if not math.isfinite(score))
            raise NonFiniteScore(uri=self.package.uri, row=row, found=scores[row])
        return scores

    def warm(self) -> None:
        """Score the golden rows, one by one and together, so that a first request finds all allocated.

        Raises:
            GoldenMismatch: A score is not the recorded one.
            UnusableModel: The graph cannot run on its own golden rows.
        """
        golden = self.package.golden
        try:
            together = self.score(golden.vectors)
            alone = np.concatenate([self.score(row[np.newaxis]) for row in golden.vectors])
        except PackageError:
            raise
        except Exception as error:  # ONNX Runtime's own classes share no public base
            raise UnusableModel(f"package {self.package.uri} fails on its golden rows: {error}") from error
        for found in (together, alone):
            self._check(found)

    def _check(self, found: NDArray[np.float64]) -> None:
        golden = self.package.golden
        wrong = np.flatnonzero(np.abs(found - golden.scores) > golden.tolerance)
        if len(wrong):
            row = int(wrong[0])
            raise GoldenMismatch(
                uri=self.package.uri,
                row=row,
                expected=float(golden.scores[row]),
                found=float(found[row]),
                tolerance=golden.tolerance,
            )


class _Alone:
    """A session bound to arrays for a single vector: half the cost of passing arrays in and out."""

    def __init__(self, session: ort.InferenceSession, name: str, width: int, output: ort.NodeArg) -> None:
        self._session = session
        self._vector = np.zeros((1, width), np.float32)
        self._scores = np.zeros((1, _OUTPUT_WIDTH[output.name]), _DTYPES[output.type])
        # On a processor an OrtValue is the array's own memory.
        self._bound = (
            ort.OrtValue.ortvalue_from_numpy(self._vector),
            ort.OrtValue.ortvalue_from_numpy(self._scores),
        )
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input(name, self._bound[0])
        self._binding.bind_ortvalue_output(output.name, self._bound[1])

    def run(self, vector: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        """Give the output for one vector; it is overwritten by the next."""
        np.copyto(self._vector, vector)
        self._session.run_with_iobinding(self._binding)
        return self._scores


def open_session(graph: bytes, what: str) -> ort.InferenceSession:
    """A session of one thread that does not spin.

    Raises:
        UnusableModel: The graph cannot be loaded; the message calls it `what`.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own classes share no public base
        raise UnusableModel(f"{what} cannot be loaded: {error}") from error


def _find_input(session: ort.InferenceSession, package: Package, width: int) -> str:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 2:
        found = ", ".join(f"{i.name}: {i.type} {i.shape}" for i in inputs)
        raise UnusableModel(f"package {package.uri} must have one input tensor(float) [n, F], has {found}")
    declared = inputs[0].shape[1]
    if isinstance(declared, int) and declared != width:
        raise UnusableModel(f"package {package.uri} names {width} features, its model reads {declared}")
    return str(inputs[0].name)


def _find_output(session: ort.InferenceSession, package: Package) -> ort.NodeArg:
    found = session.get_outputs()
    for output in found:
        width = _OUTPUT_WIDTH.get(output.name)
        if width and output.type in _DTYPES and len(output.shape) == 2 and output.shape[1] == width:
            return output
    has = ", ".join(f"{output.name}: {output.type} {output.shape}" for output in found)
    raise UnusableModel(
        f"package {package.uri} must have an output score [n, 1] or probabilities [n, 2], has {has}"
    )
