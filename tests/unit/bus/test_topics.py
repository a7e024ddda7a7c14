"""The catalogue."""

import re

import pytest
from bus.topics import CATALOGUE, PROGRESSED, ROUTES_CHANGED, Topic, dead_letter_of, specs_of


@pytest.mark.parametrize("topic", CATALOGUE, ids=lambda topic: topic.name)
def test_every_topic_is_named_for_a_fact_and_has_a_type(topic: Topic) -> None:
    assert re.fullmatch(r"tidemark\.[a-z]+\.[a-z]+\.v1", topic.name)
    assert topic.message is not None
    assert topic.partitions >= 1


def test_names_are_unique() -> None:
    assert len({topic.name for topic in CATALOGUE}) == len(CATALOGUE)


def test_a_topic_is_created_with_its_retention_and_a_twin_that_holds_what_the_topic_just_held() -> None:
    own, twin = specs_of(PROGRESSED)
    assert (own.name, own.partitions) == (PROGRESSED.name, 1)
    assert own.configs == {"cleanup.policy": "delete", "retention.ms": str(24 * 3600 * 1000)}
    assert twin.name == dead_letter_of(PROGRESSED.name)
    assert int(twin.configs["max.message.bytes"]) > 1_048_588


def test_a_compacted_topic_is_kept_for_ever_and_its_twin_is_not_compacted() -> None:
    own, twin = specs_of(ROUTES_CHANGED)
    assert own.configs == {"cleanup.policy": "compact", "retention.ms": "-1"}
    assert twin.configs["cleanup.policy"] == "delete"


def test_a_dead_letter_topic_has_no_twin_of_its_own() -> None:
    (own,) = specs_of(Topic("flights.dlq", None, "k", 1, None))
    assert own.name == "flights.dlq"
