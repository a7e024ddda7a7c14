"""What requests carry is looked up and written as events are; a retention can be kept to."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from bus.topics import SCORING_REQUESTED
from feature_store import DefinitionError, Pseudonyms, load_project
from feature_store.concealment import Concealment
from feature_store.retention import Retention, check_retention
from feature_store.secret_file import MissingKey, pseudonyms_for
from tidemark_cli.decoding import concealing

KIT = Path(__file__).parents[2] / "integration" / "privacy" / "kit"
NAMES = Pseudonyms(b"a secret of sixteen bytes or more")
PROJECT = load_project("private_shop")
DAY = timedelta(days=1)


def test_keys_of_hashed_entities_are_hashed_and_what_nobody_declares_is_left_out() -> None:
    concealment = Concealment.of(PROJECT, NAMES)
    assert concealment is not None
    asked = {"customer": "ann", "card": "4711", "email": "a@b"}
    assert concealment.entities(asked) == {"customer": "ann", "card": NAMES.of("4711")}
    assert concealment.entities({"card": ""}) == {"card": ""}
    assert concealment.context({"iban": "DE1"}) == {}
    assert concealment.request_key("large", "o-1") == "o-1"


def test_a_project_with_sensitive_fields_needs_a_key() -> None:
    for needs in (lambda: Concealment.of(PROJECT, None), lambda: pseudonyms_for(PROJECT, "")):
        with pytest.raises(MissingKey, match="private_shop has sensitive fields"):
            needs()


@pytest.mark.parametrize("service", ["archiver", "feature", "inference"])
def test_a_service_without_the_key_does_not_start_and_says_why(service: str) -> None:
    environment = {"PYTHONPATH": str(KIT), "TIDEMARK_PROJECT": "private_shop"}
    ended = subprocess.run(
        [sys.executable, "-m", service], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"{service}: PRIVACY_KEY_FILE is not set, and project private_shop has")
    assert len(ended.stderr.splitlines()) == 1


def test_a_record_is_shown_without_what_its_source_drops_or_hashes() -> None:
    show = concealing("private_shop", "orders.v1")
    data = {"customer": "ann", "card": "4711", "email": "a@b"}
    shown = show({"key": "4711", "id": "i", "subject": "4711", "offset": 7, "data": data})
    assert shown["data"] == {"customer": "ann", "card": "(sensitive)", "email": "(sensitive)"}
    assert (shown["key"], shown["offset"]) == ("(sensitive)", 7)
    record = {"key": "4711", "data": {}}
    assert concealing(None, "orders.v1")(record) is record


def test_a_request_of_a_sensitive_project_is_shown_without_what_its_caller_says() -> None:
    show = concealing("private_shop", SCORING_REQUESTED.name)
    shown = show({"key": "4711", "id": "i", "data": {"model": "large", "entities": {"card": "4711"}}})
    assert shown == {
        "key": "(sensitive)",
        "id": "(sensitive)",
        "data": {"model": "large", "entities": "(sensitive)"},
    }
    record = {"key": "4711", "data": {"entities": {"card": "4711"}}}
    assert concealing(None, SCORING_REQUESTED.name)(record) is record


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ([Retention("order.v1", in_topic=DAY)], "there is no such topic"),
        ([Retention("orders.v1"), Retention("orders.v1")], "named twice"),
        ([Retention("for.ever", in_topic=DAY)], "known for ever"),
        ([Retention("orders.v1", in_lake=13 * DAY)], "shorter than the longest window of view"),
    ],
)
def test_a_retention_that_cannot_be_is_refused_where_it_stands(declared: list[Retention], told: str) -> None:
    with pytest.raises(DefinitionError, match=told) as refused:
        check_retention(declared, PROJECT, ["for.ever"], ["for.ever"])
    assert refused.value.location is not None
    assert refused.value.location.file == __file__


def test_a_retention_that_can_be_is_let_pass() -> None:
    declared = [
        Retention("orders.v1", in_topic=DAY, in_lake=14 * DAY),
        Retention("for.ever", dead_letters=DAY),
    ]
    check_retention(declared, PROJECT, ["for.ever"], ["for.ever"])
    with pytest.raises(DefinitionError, match="an hour or more"):
        Retention("orders.v1", in_topic=timedelta(0))
