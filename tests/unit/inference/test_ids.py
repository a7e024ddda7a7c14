"""Ids that the server and the client make: UUIDs of version 7."""

import os
import uuid
from collections.abc import Callable

import pytest
import tidemark_client.ids
from hypothesis import given
from hypothesis import strategies as st
from inference.domain.ids import CHANCE_BYTES, Uuid7s, uuid7

MAKERS = [uuid7, tidemark_client.ids.uuid7]
MAX_US = 4_102_444_800_000_000


@pytest.mark.parametrize("make", MAKERS)
@given(now_us=st.integers(0, MAX_US), chance=st.binary(min_size=CHANCE_BYTES, max_size=CHANCE_BYTES))
def test_it_is_a_uuid_of_version_7_and_says_its_millisecond(
    make: Callable[[int, bytes], str], now_us: int, chance: bytes
) -> None:
    made = uuid.UUID(hex=make(now_us, chance))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == now_us // 1000


@pytest.mark.parametrize("make", MAKERS)
def test_the_example_of_the_standard(make: Callable[[int, bytes], str]) -> None:
    # RFC 9562, appendix A.6
    chance = bytes.fromhex("0CC318C4DC0C0C07398F")
    assert make(0x017F22E279B0 * 1000, chance) == "017f22e279b07cc398c4dc0c0c07398f"


@pytest.mark.parametrize("make", MAKERS)
@given(earlier_us=st.integers(0, MAX_US), later_ms=st.integers(1, 1_000_000), chances=st.binary(min_size=20))
def test_later_ones_sort_after(
    make: Callable[[int, bytes], str], earlier_us: int, later_ms: int, chances: bytes
) -> None:
    assert make(earlier_us, chances[:10]) < make(earlier_us + later_ms * 1000, chances[10:20])


def test_ids_are_of_chance_drawn_for_many_and_none_comes_twice() -> None:
    drawn: list[int] = []

    def chance(size: int) -> bytes:
        drawn.append(size)
        return os.urandom(size)

    make = Uuid7s(lambda: 1_365_000_000_000_000, chance)
    made = [make() for _ in range(1_000)]
    assert len(set(made)) == 1_000
    assert sum(drawn) >= 1_000 * CHANCE_BYTES
    assert len(drawn) < 10
