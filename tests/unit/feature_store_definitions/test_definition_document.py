"""What a package says of its definitions is enough to find its rows and to check their digest."""

from __future__ import annotations

import hashlib
import json

import pytest
from feature_store import load_project
from feature_store.definition_document import UnknownDocument, document_of, versions_in
from feature_store.rows import row_key


def test_it_names_every_version_that_the_contract_reads() -> None:
    contract = load_project("examples.flights").contract("flight-delay")
    document = document_of(contract)
    assert versions_in(document) == {view.name: view.digest.hex() for view in contract.views}
    assert document == document_of(contract)
    content = json.loads(document)
    canonical = json.dumps(content["contract"], sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(canonical.encode()).hexdigest() == content["contract_hash"] == contract.hash.hex()


def test_digests_and_keys_follow_from_what_it_says() -> None:
    contract = load_project("examples.flights").contract("flight-delay")
    for view, said in zip(contract.views, json.loads(document_of(contract))["views"], strict=True):
        text = json.dumps([said["definition"], said["features"]], sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).digest()
        assert digest.hex() == said["digest"]
        assert f"{said['rows']}JFK".encode() == row_key(view.name, digest, "JFK")


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"version": 1}', b'{"version": 1, "views": [{}]}'])
def test_what_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(UnknownDocument, match="no document of definitions"):
        versions_in(text)


def test_one_of_a_later_version_is_refused() -> None:
    with pytest.raises(UnknownDocument, match="version 2; this code reads 1"):
        versions_in(b'{"version": 2}')
