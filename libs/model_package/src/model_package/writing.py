"""Writing a package folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model_package.background import BACKGROUND, Background
from model_package.golden import Golden
from model_package.manifest import (
    DEFINITIONS,
    FORMAT_VERSION,
    GOLDEN,
    MANIFEST,
    MODEL,
    REFERENCE_PROFILE,
    Facts,
    Manifest,
    canonical_json,
    sha256_hex,
)
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
        model: An ONNX graph with one float32 input [n, F] and an output `score` or `probabilities`.
        golden: Rows to check a runtime with.
        reference_profile: A JSON object.
        served: The graph from readings to score, where there is one.
        definitions: What its features are and which rows they are read from, as the feature store writes it.
        background: A sample of the training set, where there is one.

    Returns:
        The manifest, whose `digest` and `version` name the package.

    Raises:
        ValueError: The golden rows or the background are not as wide as the features, or the profile holds
            NaN.
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
        format_version=FORMAT_VERSION,
        files={name: sha256_hex(data) for name, data in files.items()},
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in {**files, MANIFEST: manifest.to_bytes()}.items():
        (folder / name).write_bytes(data)
    return manifest
