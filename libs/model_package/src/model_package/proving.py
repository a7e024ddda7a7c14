"""Checks that a package's served graph computes, in this runtime, what its two steps were recorded to."""

from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from model_package.errors import GoldenMismatch, UnusableModel
from model_package.package import Package
from model_package.scores import scores_of
from model_package.served import SERVED, ServedGolden
from model_package.session import open_session

# Where there is no signature.
_SCORES: Final = ("score", "probabilities")


def prove_served(package: Package) -> NDArray[np.float64] | None:
    """Run the served graph on its golden rows.

    Returns:
        Its scores, float64[n]; None where the package has no served graph.

    Raises:
        UnusableModel: The graph cannot be loaded or run, lacks an output, or assembles other vectors.
        GoldenMismatch: A score is not the recorded one.
    """
    if package.served is None:
        return None
    golden = package.served.golden
    session = open_session(package.served.graph, f"{SERVED} of package {package.uri}")
    values, statuses, scores = _run(session, golden, package)
    if not np.array_equal(statuses, golden.statuses) or not _is_same(values, golden):
        raise UnusableModel(
            f"{SERVED} of package {package.uri} assembles other vectors than were recorded: this runtime "
            "does not compute its features; do not serve with it"
        )
    allowed = golden.tolerance * np.maximum(1.0, np.abs(golden.scores))
    wrong = np.flatnonzero(~(np.abs(scores - golden.scores) <= allowed))
    if len(wrong):
        row = int(wrong[0])
        raise GoldenMismatch(
            uri=package.uri,
            row=row,
            expected=float(golden.scores[row]),
            found=float(scores[row]),
            tolerance=golden.tolerance,
        )
    return scores


def _run(
    session: ort.InferenceSession, golden: ServedGolden, package: Package
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.float64]]:
    declared, uri = package.manifest.signature, package.uri
    has = [output.name for output in session.get_outputs()]
    wanted = _SCORES if declared is None else (declared.score.output,)
    score = next((name for name in wanted if name in has), None)
    if score is None or not {"values", "statuses"} <= set(has):
        raise UnusableModel(f"{SERVED} of package {uri} must have values, statuses and a score, has {has}")
    try:
        values, statuses, answers = session.run(["values", "statuses", score], dict(golden.inputs))
    except Exception as error:  # ONNX Runtime's own classes share no public base
        raise UnusableModel(f"{SERVED} of package {uri} fails on its golden rows: {error}") from error
    numbers = answers.reshape(len(answers), -1).astype(np.float64)
    task, column = ("binary", None) if declared is None else (declared.task, declared.score.column)
    return values, statuses, scores_of(numbers, task, column)


def _is_same(values: NDArray[Any], golden: ServedGolden) -> bool:
    if golden.is_exact:
        return bool(np.array_equal(values, golden.values))
    return bool(np.allclose(values, golden.values, rtol=golden.tolerance, atol=golden.tolerance))
