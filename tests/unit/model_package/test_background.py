"""The background: verified like every file, read exactly, optional."""

import json
from pathlib import Path

import numpy as np
import pytest
from model_package import Background, DigestMismatch, MalformedPackage, PackageStore
from model_package.background import BACKGROUND, parse_background
from model_package.testing import facts, write_logistic_package

FACTS = facts("m", ["a", "b"], contract_hash="0" * 64)
ROWS = np.array([[0.1, 2.0], [np.float32(1e-30), -3.5]], np.float32)


def test_it_is_read_as_it_was_written_to_the_bit(tmp_path: Path) -> None:
    write_logistic_package(tmp_path / "p", facts=FACTS, weights=[1, 2], background=Background(ROWS))
    package = PackageStore(tmp_path / "store").put(tmp_path / "p")
    assert package.background is not None
    assert package.background.vectors.tobytes() == ROWS.tobytes()


def test_a_package_without_one_is_whole_and_another(tmp_path: Path) -> None:
    without = write_logistic_package(tmp_path / "p", facts=FACTS, weights=[1, 2])
    having = write_logistic_package(tmp_path / "q", facts=FACTS, weights=[1, 2], background=Background(ROWS))
    assert PackageStore(tmp_path / "store").put(tmp_path / "p").background is None
    assert without.digest != having.digest


def test_a_changed_one_is_refused(tmp_path: Path) -> None:
    write_logistic_package(tmp_path / "p", facts=FACTS, weights=[1, 2], background=Background(ROWS))
    (tmp_path / "p" / BACKGROUND).write_bytes(Background(ROWS + 1).to_bytes())
    with pytest.raises(DigestMismatch, match=r"background\.json"):
        PackageStore(tmp_path / "store").put(tmp_path / "p")


@pytest.mark.parametrize("vectors", [None, [], [[1, None]], [[1], [1, 2]], "x"])
def test_one_that_says_something_else_is_malformed(vectors: object) -> None:
    with pytest.raises(MalformedPackage, match=r"background.json of package p is not valid"):
        parse_background(json.dumps({"vectors": vectors}).encode(), uri="p", width=2)


def test_one_of_another_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedPackage, match="rows of 2 values for 3 features"):
        parse_background(Background(ROWS).to_bytes(), uri="p", width=3)
    narrow = facts("m", ["a"], contract_hash="0" * 64)
    with pytest.raises(ValueError, match="background rows have 2 values for 1 features"):
        write_logistic_package(tmp_path, facts=narrow, weights=[1], background=Background(ROWS))
