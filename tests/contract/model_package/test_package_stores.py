"""What every package store must do."""

import json
from pathlib import Path

import pytest
from model_package import (
    DigestMismatch,
    MalformedPackage,
    Manifest,
    MemoryPackageStore,
    MissingFile,
    Packages,
    PackageStore,
    UnknownFormat,
    UnsafePath,
    canonical_json,
)
from model_package.testing import facts, write_logistic_package

KNOWN = facts("m", ("a", "b"), contract_hash="c" * 64)


@pytest.fixture(params=["filesystem", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Packages:
    return MemoryPackageStore() if request.param == "memory" else PackageStore(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "written"


@pytest.fixture
def written(folder: Path) -> Manifest:
    return write_logistic_package(folder, facts=KNOWN, weights=(1.0, 2.0))


def test_what_was_put_is_opened_whole(store: Packages, folder: Path, written: Manifest) -> None:
    put = store.put(folder)
    opened = store.open(put.uri, put.digest)

    assert opened.digest == written.digest
    assert opened.manifest == written
    assert opened.model == (folder / "model.onnx").read_bytes()
    assert opened.version == written.version


def test_putting_twice_is_a_no_op(store: Packages, folder: Path, written: Manifest) -> None:
    first, second = store.put(folder), store.put(folder)
    assert first.uri == second.uri
    assert first.digest == second.digest == written.digest


@pytest.mark.usefixtures("written")
def test_what_was_put_is_a_copy(store: Packages, folder: Path) -> None:
    put = store.put(folder)
    (folder / "model.onnx").write_bytes(b"changed")
    assert store.open(put.uri, put.digest).model != b"changed"


@pytest.mark.usefixtures("written")
def test_another_digest_is_refused(store: Packages, folder: Path) -> None:
    put = store.put(folder)
    with pytest.raises(DigestMismatch) as caught:
        store.open(put.uri, "0" * 64)
    assert caught.value.file == "manifest.json"
    assert caught.value.expected == "0" * 64
    assert caught.value.found == put.digest


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("name", ["model.onnx", "golden.json", "reference_profile.json"])
def test_a_changed_file_is_not_put(store: Packages, folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"changed")
    with pytest.raises(DigestMismatch) as caught:
        store.put(folder)
    assert caught.value.file == name
    assert caught.value.found != caught.value.expected


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("name", ["model.onnx", "golden.json", "reference_profile.json", "manifest.json"])
def test_a_folder_that_lacks_a_file_is_not_put(store: Packages, folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(MissingFile, match=name):
        store.put(folder)


@pytest.mark.usefixtures("written")
def test_an_unknown_format_version_is_named(store: Packages, folder: Path) -> None:
    _edit_manifest(folder, format_version=3)
    with pytest.raises(UnknownFormat, match="format version 3, this code reads 1 to 2"):
        store.put(folder)


@pytest.mark.usefixtures("written")
def test_a_format_version_with_a_signature_needs_one(store: Packages, folder: Path) -> None:
    _edit_manifest(folder, format_version=2)
    with pytest.raises(MalformedPackage, match="2 with a signature, 1 without"):
        store.put(folder)


@pytest.mark.usefixtures("written")
def test_a_manifest_that_points_outside_is_refused(store: Packages, folder: Path) -> None:
    files = json.loads((folder / "manifest.json").read_bytes())["files"]
    _edit_manifest(folder, files={**files, "../written/model.onnx": files["model.onnx"]})
    with pytest.raises(MalformedPackage, match="plain names"):
        store.put(folder)


@pytest.mark.usefixtures("written")
def test_a_package_nobody_put_is_missing(store: Packages, folder: Path) -> None:
    put = store.put(folder)
    absent = put.uri.replace(put.digest, "1" * 64)
    with pytest.raises(MissingFile, match=r"manifest\.json"):
        store.open(absent, "1" * 64)


@pytest.mark.parametrize("digest", ["", "../../etc", "A" * 64, "0" * 63])
def test_a_digest_that_is_none_is_refused(store: Packages, digest: str) -> None:
    with pytest.raises(UnsafePath, match="not a SHA-256"):
        store.open("anything", digest)


@pytest.mark.parametrize(
    "uri", ["../outside", "x/../../outside", "file:///etc", "/etc", "s3://bucket/x", ".", ""]
)
def test_a_uri_outside_the_store_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(UnsafePath):
        PackageStore(tmp_path / "store").open(uri, "0" * 64)


@pytest.mark.usefixtures("written")
def test_a_link_out_of_the_store_is_refused(tmp_path: Path, folder: Path) -> None:
    store = PackageStore(tmp_path / "store")
    put = store.put(folder)
    (tmp_path / "store" / "link").symlink_to(folder)
    with pytest.raises(UnsafePath):
        store.open("link", put.digest)


@pytest.mark.usefixtures("written")
def test_a_file_damaged_in_the_store_is_noticed(tmp_path: Path, folder: Path) -> None:
    store = PackageStore(tmp_path / "store")
    put = store.put(folder)
    model = tmp_path / "store" / put.digest / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])

    with pytest.raises(DigestMismatch, match=r"model\.onnx"):
        store.open(put.uri, put.digest)
    with pytest.raises(DigestMismatch, match=r"model\.onnx"):
        store.put(folder)


@pytest.mark.usefixtures("written")
def test_a_store_holds_whole_packages_only(tmp_path: Path, folder: Path) -> None:
    put = PackageStore((tmp_path / "store").as_uri()).put(folder)
    assert [path.name for path in (tmp_path / "store").iterdir()] == [put.digest]


def _edit_manifest(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_bytes(canonical_json({**json.loads(path.read_bytes()), **changes}))
