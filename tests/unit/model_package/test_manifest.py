"""A manifest is one sequence of bytes, and says what it must."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from model_package import Golden, MalformedPackage, canonical_json
from model_package.golden import parse_golden
from model_package.manifest import parse_manifest
from model_package.testing import facts, write_logistic_package
from pydantic import ValidationError

CONTRACT = "c" * 64
KNOWN = facts("m", ("a", "b"), contract_hash=CONTRACT)


def test_the_same_inputs_give_the_same_digest_and_version(tmp_path: Path) -> None:
    first = write_logistic_package(tmp_path / "1", facts=KNOWN, weights=(1, 2))
    again = write_logistic_package(tmp_path / "2", facts=KNOWN, weights=(1, 2))
    other = write_logistic_package(tmp_path / "3", facts=KNOWN, weights=(1, 3))

    assert first.digest == again.digest
    assert first.version == again.version == f"logistic-{first.digest[:12]}"
    assert other.digest != first.digest


def test_the_digest_is_that_of_the_file_as_it_stands(tmp_path: Path) -> None:
    manifest = write_logistic_package(tmp_path, facts=KNOWN, weights=(1, 2))
    assert parse_manifest((tmp_path / "manifest.json").read_bytes(), uri="p").digest == manifest.digest


def test_canonical_json_is_sorted_compact_utf8() -> None:
    assert canonical_json({"b": 0.1, "a": ["é", 1]}) == '{"a":["é",1],"b":0.1}'.encode()


def test_canonical_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"metric": float("nan")})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("feature_names", ()),
        ("feature_names", ("a", "a")),
        ("contract_hash", "short"),
        ("decision_threshold", 1.5),
        ("metrics", {"auc": float("nan")}),
        ("trained_until_us", 0),
        ("training_rows", 0),
        ("seed", "7"),
    ],
)
def test_facts_that_make_no_sense_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        type(KNOWN).model_validate({**KNOWN.model_dump(), field: value})


@pytest.mark.parametrize(
    "name", ["../model.onnx", "/etc/passwd", "a/b", "..", "", ".hidden", "manifest.json"]
)
def test_a_manifest_names_plain_files_only(tmp_path: Path, name: str) -> None:
    write_logistic_package(tmp_path, facts=KNOWN, weights=(1, 2))
    fields = json.loads((tmp_path / "manifest.json").read_bytes())
    fields["files"][name] = "0" * 64
    with pytest.raises(MalformedPackage, match="plain names"):
        parse_manifest(canonical_json(fields), uri="p")


@given(arrays.arrays(np.float32, (3, 2), elements=st.floats(width=32, allow_infinity=False)))
def test_golden_vectors_survive_json_bit_for_bit(vectors: np.ndarray) -> None:
    golden = Golden(vectors, np.array([0.1, 0.2, 0.3]))
    read = parse_golden(golden.to_bytes(), uri="p", width=2)
    np.testing.assert_array_equal(read.vectors, golden.vectors)
    np.testing.assert_array_equal(read.scores, golden.scores)


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b'{"vectors":[],"scores":[],"tolerance":0.1}', b'{"vectors":[[1,2]]}']
)
def test_golden_rows_that_make_no_sense_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedPackage, match=r"golden\.json of package p"):
        parse_golden(data, uri="p", width=2)


def test_golden_rows_of_another_width_are_refused() -> None:
    golden = Golden(np.zeros((1, 3), dtype=np.float32), np.zeros(1))
    with pytest.raises(MalformedPackage, match="rows of 3 values for 2 features"):
        parse_golden(golden.to_bytes(), uri="p", width=2)
