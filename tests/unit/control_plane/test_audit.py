from dataclasses import replace

import pytest
from control_plane.domain.audit import Entry, Head, Link, append, first_break, hash_of
from hypothesis import given
from hypothesis import strategies as st

ENTRIES = [
    Entry("ada", "version.registered", "late", "a", {"gates": ["latency"]}),
    Entry("bo", "version.approved", "late", "a", {"comment": "schön"}),
    Entry("system:rollout-controller", "rollout.aborted", "late", "late-r1", {"share": 0.5}),
]
CHAIN = append(Head(), ENTRIES, recorded_at_us=1_357_020_000_000_000)


def test_a_chain_holds() -> None:
    assert first_break(Head(), CHAIN) is None
    assert [link.sequence for link in CHAIN] == [1, 2, 3]


def test_a_chain_can_be_continued() -> None:
    more = append(Head(3, CHAIN[-1].hash), ENTRIES, recorded_at_us=2)
    assert first_break(Head(), [*CHAIN, *more]) is None
    assert first_break(Head(3, CHAIN[-1].hash), more) is None


def test_the_hash_is_the_one_that_the_formats_promise() -> None:
    assert CHAIN[0].details == '{"gates":["latency"]}'
    assert CHAIN[1].details == '{"comment":"schön"}'
    assert CHAIN[0].hash == "2d2376b0fd3ff365044cd2cc4e8e2cb0e76203f2f7efabe1b275bc2f87aba5a3"


@pytest.mark.parametrize("field", ["actor", "action", "model", "subject", "details", "recorded_at_us"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_changed_link_is_found(field: str, place: int) -> None:
    changed = list(CHAIN)
    value = 5 if field == "recorded_at_us" else "x"
    changed[place] = replace(CHAIN[place], **{field: value})
    broken = first_break(Head(), changed)
    assert broken is not None
    assert (broken.sequence, "was changed" in broken.why) == (place + 1, True)


def test_a_link_that_was_changed_and_hashed_again_is_found_at_the_next() -> None:
    forged = replace(CHAIN[0], actor="eve")
    forged = replace(forged, hash=hash_of(forged))
    broken = first_break(Head(), [forged, *CHAIN[1:]])
    assert broken is not None
    assert (broken.sequence, "hash of the link before" in broken.why) == (2, True)


@pytest.mark.parametrize(("left", "sequence"), [([0, 2], 2), ([1, 2], 1), ([0, 1, 1, 2], 2), ([0, 2, 1], 2)])
def test_a_lost_inserted_or_moved_link_is_found(left: list[int], sequence: int) -> None:
    broken = first_break(Head(), [CHAIN[place] for place in left])
    assert broken is not None
    assert broken.sequence == sequence


texts = st.text(max_size=20).filter(lambda text: text.encode("utf-8", "ignore").decode() == text)


@given(st.lists(st.builds(Entry, texts, texts, texts, texts, st.dictionaries(texts, texts)), max_size=6))
def test_any_entries_make_a_chain_that_holds(entries: list[Entry]) -> None:
    links: list[Link] = append(Head(), entries, recorded_at_us=1)
    assert first_break(Head(), links) is None
