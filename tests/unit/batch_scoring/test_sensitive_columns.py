"""What a project hashes is hashed before it is looked up or written."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from batch_scoring import UnknownColumn
from batch_scoring.columns import Columns
from batch_scoring.concealing import Concealed
from feature_store import FieldType, Pseudonyms
from feature_store.concealment import Concealment

PSEUDONYMS = Pseudonyms(b"a secret of sixteen bytes or more")
CONCEALMENT = Concealment(
    PSEUDONYMS,
    known_entities=frozenset({"customer", "shop"}),
    hashed_entities=frozenset({"customer"}),
    known_inputs=frozenset({"email", "amount"}),
    hashed_inputs=frozenset({"email"}),
    hashed_request_keys=frozenset({"returned"}),
)
ROWS = pa.table(
    {
        "WHO": pa.array(["ann", None, "", "ann"]).dictionary_encode(),
        "shop": ["p1", "p2", "p1", "p2"],
        "email": ["a@b", "c@d", None, "a@b"],
        "request_key": ["k1", "k2", "k3", "k4"],
        "note": ["n"] * 4,
    }
)


def columns(*, kept: tuple[str, ...] = ()) -> Columns:
    return Columns(
        None,
        "request_key",
        {"customer": "WHO", "shop": "shop"},
        {"email": "email"},
        {"email": FieldType.TEXT},
        kept=kept,
    )


def test_keys_inputs_and_request_keys_become_pseudonyms_and_the_rest_stays() -> None:
    hidden = Concealed.of(columns(), CONCEALMENT, "returned").hide(ROWS)
    ann = PSEUDONYMS.of("ann")
    assert hidden["WHO"].to_pylist() == [ann, None, "", ann]
    assert hidden["email"].to_pylist() == [
        PSEUDONYMS.of("a@b"),
        PSEUDONYMS.of("c@d"),
        None,
        PSEUDONYMS.of("a@b"),
    ]
    assert hidden["request_key"].to_pylist() == [PSEUDONYMS.of(f"k{at}") for at in np.arange(1, 5)]
    assert hidden["shop"].to_pylist() == ROWS["shop"].to_pylist()


def test_a_label_whose_key_is_public_leaves_request_keys_as_they_are() -> None:
    hidden = Concealed.of(columns(), CONCEALMENT, "other").hide(ROWS)
    assert hidden["request_key"].to_pylist() == ROWS["request_key"].to_pylist()


def test_a_column_that_the_project_does_not_know_is_not_kept() -> None:
    with pytest.raises(UnknownColumn, match="--keep note: the project has sensitive fields"):
        Concealed.of(columns(kept=("WHO", "note")), CONCEALMENT, "returned")
    assert Concealed.of(columns(kept=("note",)), None, "returned").hide(ROWS) is ROWS


def test_what_is_kept_beside_given_vectors_is_hashed_by_its_name() -> None:
    given = ROWS.rename_columns(["entity.customer", "shop", "email", "request_key", "note"])
    kept = ("entity.customer", "shop", "email", "request_key", "f0")
    bound = Columns(None, "request_key", {}, {}, {}, features=("f0",), kept=kept)
    hidden = Concealed.of_given(bound, CONCEALMENT, "returned").hide(given)
    for name, clear in (("entity.customer", "ann"), ("email", "a@b"), ("request_key", "k1")):
        assert hidden[name][0].as_py() == PSEUDONYMS.of(clear)
    assert hidden["shop"].to_pylist() == ROWS["shop"].to_pylist()
    strange = Columns(None, None, {}, {}, {}, features=("f0",), kept=("note",))
    with pytest.raises(UnknownColumn, match="--keep note: the project has sensitive fields"):
        Concealed.of_given(strange, CONCEALMENT, "returned")
    assert Concealed.of_given(strange, None, "").hide(given) is given
