"""Names cut short, enums and shares, as people write and read them."""

import pytest
from tidemark.monitoring.v1.alert_pb2 import AlertState
from tidemark_cli.failures import Failure, WrongUsage
from tidemark_cli.options import who_acts
from tidemark_cli.rollouts import basis_points
from tidemark_cli.words import pick, share, word, words_of

NAMES = ["version:late:gb-1", "version:late:gb-12", "retrain:late:drift:2013-06-17T00:00:00Z"]


def chosen(given: str, names: list[str] = NAMES, likely: list[str] | None = None) -> str:
    return pick(given, names, what="approval", look="tidemark approvals list", likely=likely or [])


def test_a_name_may_be_cut_short_as_long_as_it_is_the_only_one() -> None:
    assert chosen("gb-12") == NAMES[1]
    assert chosen("2013-06-17") == NAMES[2]
    assert chosen("gb-12", [NAMES[1], NAMES[1]]) == NAMES[1]


def test_the_very_name_is_meant_even_if_another_begins_with_it() -> None:
    assert chosen(NAMES[0]) == NAMES[0]
    assert chosen("gb-1") == NAMES[0]


def test_where_several_could_be_the_only_likely_one_is_meant() -> None:
    assert chosen("gb-", likely=[NAMES[1], NAMES[2]]) == NAMES[1]
    with pytest.raises(Failure, match="say more"):
        chosen("gb-", likely=NAMES)


def test_what_could_be_several_is_refused_with_their_names() -> None:
    with pytest.raises(Failure, match=f"may be {NAMES[0]}, {NAMES[1]}: say more"):
        chosen("gb-")
    with pytest.raises(Failure, match="and more: say more"):
        chosen("a", [f"a{number}" for number in range(9)])


def test_what_is_not_there_says_which_command_lists_what_is() -> None:
    with pytest.raises(Failure, match=r"no approval 'nope': `tidemark approvals list` lists them"):
        chosen("nope")


def test_enums_are_told_as_words_and_unknown_numbers_as_they_are() -> None:
    enum = AlertState.DESCRIPTOR
    assert words_of(enum) == ["pending", "firing", "resolved"]
    assert [word(enum, number) for number in (0, 2, 77)] == ["unspecified", "firing", "77"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1,5,10,25,50", [100, 500, 1000, 2500, 5000]), ("12.5", [1250]), (" 1% , 99.99%", [100, 9999])],
)
def test_steps_are_shares_in_percent(text: str, expected: list[int]) -> None:
    assert basis_points(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5,1", "5,5", "0,5", "100", "1,,5", "x", "0.001", "NaN", "Infinity", "-1"]
)
def test_steps_that_do_not_grow_between_0_and_100_percent_are_refused(text: str) -> None:
    with pytest.raises(WrongUsage, match="no shares that grow"):
        basis_points(text)


def test_a_share_is_told_in_percent() -> None:
    assert [share(points) for points in (0, 1, 1250, 10_000)] == ["0 %", "0.01 %", "12.5 %", "100 %"]


def test_who_acts_is_who_was_named_or_the_user_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    assert who_acts("demo-approver") == "demo-approver"
    assert who_acts(None) == "ann"


@pytest.mark.parametrize("name", ["", "J\u00f6rg", "a\nb", "a" * 129])
def test_a_name_that_no_header_can_carry_is_refused(name: str) -> None:
    with pytest.raises(WrongUsage, match="--as or TIDEMARK_ACTOR"):
        who_acts(name)
