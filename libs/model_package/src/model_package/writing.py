"""Writing a package folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_package.background import BACKGROUND, Background
from model_package.golden import Golden
from model_package.graph import Graph
from model_package.manifest import (
    DEFINITIONS,
    GOLDEN,
    MANIFEST,
    MODEL,
    REFERENCE_PROFILE,
    Facts,
    Manifest,
    canonical_json,
    format_version_of,
    sha256_hex,
)
from model_package.package import read_package
from model_package.scorer import Scorer
from model_package.served import Served


def write_package(  # noqa: PLR0913 - a keyword a file
    folder: Path,
    *,
    facts: Facts,
    model: bytes,
    golden: Golden,
    reference_profile: Mapping[str, Any],
    served: Served | None = None,
    definitions: bytes | None = None,
    background: Background | None = None,
) -> Manifest:
    """Write the files of a package; the same inputs give the same bytes and digest.

    Args:
        folder: Created when absent; files of the same names are replaced.
        facts: What the version is.
        model: An ONNX graph as the facts' signature says; without one, with one float32 input [n, F] and an
            output `score` [n, 1] or `probabilities` [n, 2].
        golden: Rows to check a runtime with; `record_golden` makes them of a graph with a signature.
        reference_profile: A JSON object.
        served: The graph from readings to score, where there is one.
        definitions: What its features are and which rows they are read from, as the feature store writes it.
        background: A sample of the training set, where there is one.

    Returns:
        The manifest, whose `digest` and `version` name the package.

    Raises:
        ValueError: The golden rows or the background are not as wide as the features, or the profile holds
            NaN.
        UnusableModel: There is a signature, and the graph is not as it says; nothing was written.
        GoldenMismatch: There is a signature, and the graph answers the golden rows otherwise; likewise.
    """
    width = len(facts.feature_names)
    for name, rows in (("golden", golden), ("background", background)):
        if rows is not None and rows.vectors.shape[1] != width:
            raise ValueError(f"{name} rows have {rows.vectors.shape[1]} values for {width} features")
    files = {
        MODEL: model,
        GOLDEN: golden.to_bytes(),
        REFERENCE_PROFILE: canonical_json(reference_profile),
        **(served.files() if served is not None else {}),
        **({DEFINITIONS: definitions} if definitions is not None else {}),
        **({BACKGROUND: background.to_bytes()} if background is not None else {}),
    }
    manifest = Manifest(
        **facts.model_dump(),
        format_version=format_version_of(facts),
        files={name: sha256_hex(data) for name, data in files.items()},
    )
    files[MANIFEST] = manifest.to_bytes()
    if manifest.signature is not None:
        Scorer(read_package(files.get, uri=str(folder), digest=manifest.digest)).warm()
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return manifest


def record_golden(
    model: bytes, facts: Facts, vectors: NDArray[np.float32], tolerance: float = 1e-5
) -> Golden:
    """Record what a graph answers here.

    That it is what the model was trained to answer is for its own library to say: compare with it before.

    Args:
        model: The graph.
        facts: Of the version, with its signature.
        vectors: float32[n, F], n at least 1.
        tolerance: As in `Golden`.

    Raises:
        PackageError: The graph is not as the signature says, or cannot answer these vectors.
    """
    return Golden.of(vectors, Graph(model, facts, facts.model).run(vectors), tolerance)
