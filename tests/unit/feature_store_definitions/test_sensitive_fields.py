"""Sensitive fields: declared, refused where they cannot be kept to, and gone before anything is written."""

import json
from pathlib import Path

import pytest
from feature_store import (
    Check,
    Count,
    DefinitionError,
    DistinctCount,
    Entity,
    FeatureView,
    Handling,
    Incoming,
    Json,
    Label,
    MissingKey,
    Pseudonyms,
    Source,
    Sum,
    decode_events,
    field,
)
from feature_store.events import arrow_schema
from feature_store.secret_file import read_pseudonyms

NAMES = Pseudonyms(b"a secret of sixteen bytes or more")
FORMAT = Json({"user": "text", "card": "text", "email": "text", "amount": "number", "at": "time"})


def source(**sensitive: str) -> Source:
    checks = [Check.required("user"), Check.matches("email", ".*@.*")]
    return Source("pay.v1", FORMAT, event_time="at", checks=checks, sensitive=sensitive)


def incoming(**told: object) -> Incoming:
    payload = {"user": "ann", "card": "4711", "email": "a@b", "amount": 1, "at": "2024-01-01T00:00:00Z"}
    at_us = 1_704_067_200_000_000
    data = json.dumps(payload | told).encode()
    return Incoming([data], ["pay-4711"], [b"4711"], [at_us], [at_us], [0], [0])


def test_what_is_dropped_is_no_column_and_what_is_hashed_is_a_hash() -> None:
    paid = source(card="hash", email="drop", user="keep")
    batch, rejects = decode_events(paid, incoming(), NAMES)
    assert rejects == []
    assert batch.columns["card"].tolist() == [NAMES.of("4711")]
    assert batch.columns["user"].tolist() == ["ann"]
    assert "email" not in batch.columns
    assert "email" not in arrow_schema(paid).names
    # The producer's own key and id may hold what a field does.
    assert "4711" not in str(batch.to_arrow().to_pylist())
    assert batch.ids.tolist() == [NAMES.of("pay-4711")]


def test_checks_see_what_was_sent_and_their_refusals_tell_nothing() -> None:
    _, [reject] = decode_events(source(card="hash", email="drop"), incoming(email="ann at home"), NAMES)
    assert reject.reason == "NO_MATCH"
    assert "ann" not in reject.detail
    _, [told] = decode_events(source(), incoming(email="ann at home"))
    assert "ann at home" in told.detail


def test_a_missing_key_is_told_by_name_and_never_a_hash_of_nothing() -> None:
    with pytest.raises(MissingKey, match=r"pay.v1 has sensitive fields"):
        decode_events(source(card="hash"), incoming())
    assert decode_events(source(card="keep"), incoming())[1] == []


def test_hashes_are_of_the_secret_stable_and_of_one_purpose_each() -> None:
    other = Pseudonyms(b"another secret of the right length")
    assert NAMES.of("4711") == Pseudonyms(b"a secret of sixteen bytes or more").of("4711")
    assert len({NAMES.of("4711"), other.of("4711"), NAMES.of("4712"), NAMES.subject("card", "4711")}) == 4
    assert NAMES.key_id != other.key_id
    # HMAC-SHA256 of "tidemark/value", a zero and the text, as `openssl dgst -hmac` says.
    assert NAMES.of("4711") == "88b539bee2a9c463e0aaf39f19db9263"


@pytest.mark.parametrize(
    ("sensitive", "told"),
    [
        ({"mail": "drop"}, "no field 'mail'. Did you mean 'email'?"),
        ({"email": "forget"}, "is 'forget'. Write one of keep, hash, drop"),
        ({"amount": "hash"}, "a number cannot be hashed"),
        ({"at": "drop"}, "the event time cannot be dropped"),
    ],
)
def test_what_cannot_be_kept_to_is_refused_where_it_stands(sensitive: dict[str, str], told: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        source(**sensitive)
    assert told in str(refused.value)
    assert refused.value.location is not None
    assert refused.value.location.file == __file__


def test_a_feature_of_a_dropped_field_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"'email' of pay.v1 is sensitive and dropped"):

        class ByEmail(FeatureView):
            source = source(email="drop")
            entity = Entity("email")
            count = Count(window="1d")

    with pytest.raises(DefinitionError, match=r"dropped: nothing can be made of it"):

        class Spent(FeatureView):
            source = source(amount="drop")
            entity = Entity("user")
            spent = Sum(field("amount"), window="1d")

    with pytest.raises(DefinitionError, match=r"request_key.*dropped"):
        Label("paid", source=source(card="drop"), request_key="card", value=field("amount") > 0)


def test_a_hashed_field_is_a_key_and_counted_and_nothing_else() -> None:
    class ByCard(FeatureView):
        source = source(card="hash")
        entity = Entity("card")
        cards = DistinctCount(field("card"), window="1d")

    assert ByCard.view.source.hashed == ["card"]
    assert ByCard.view.source.handling("card") is Handling.HASH
    with pytest.raises(DefinitionError, match=r"'card' of pay.v1 is hashed, and .* computes with its value"):

        class OfOneCard(FeatureView):
            source = source(card="hash")
            entity = Entity("user")
            of_one = Count(window="1d", where=field("card") == "4711")


def test_views_over_a_source_without_hashes_keep_their_digest() -> None:
    def digest(**sensitive: str) -> bytes:
        class Orders(FeatureView):
            source = source(**sensitive)
            entity = Entity("user")
            count = Count(window="1d")

        return Orders.view.digest

    assert digest() == digest(email="drop") == digest(card="keep")
    assert digest() != digest(card="hash")


@pytest.mark.parametrize(("content", "told"), [(None, "No such file"), (b"short\n", "5 bytes is too short")])
def test_a_secret_that_is_none_is_refused_with_what_to_do(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(MissingKey, match=told) as refused:
        read_pseudonyms(str(file))
    assert "head -c 32 /dev/urandom" in str(refused.value)
    assert "short" not in str(refused.value).replace("too short", "")
