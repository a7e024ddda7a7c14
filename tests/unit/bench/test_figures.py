"""The arithmetic of medians, ratios and spreads, and what is said of a claim."""

import pytest

from bench.figures import Claim, compared, measured, unmet
from bench.rounds import Rounds


def test_a_ratio_is_the_median_of_the_rounds_ratios_and_not_the_ratio_of_the_medians() -> None:
    row = compared("f", [10.0, 40.0, 90.0], "us", ("floor", [10.0, 20.0, 30.0]))
    assert row["ratio"] == 2.0
    skewed = compared("f", [10.0, 100.0, 30.0], "us", ("floor", [1.0, 50.0, 10.0]))
    assert (skewed["value"], skewed["reference_value"], skewed["ratio"]) == (30.0, 10.0, 3.0)
    assert compared("f", [3.0, 8.0, 4.0], "us", ("floor", [1.0, 2.0, 4.0]))["ratio"] == 3.0


def test_the_spread_is_of_the_ratios() -> None:
    row = compared("f", [10.0, 40.0, 90.0], "us", ("floor", [10.0, 20.0, 30.0]))
    assert (row["spread"], row["rounds"]) == ([1.0, 3.0], 3)


def test_a_figure_alone_has_the_median_and_spread_of_its_values() -> None:
    row = measured("f", [5.0, 1.0, 9.0, 3.0], "ms")
    assert (row["value"], row["spread"], row["rounds"]) == (4.0, [1.0, 9.0], 4)
    assert (row["must"], row["met"], row["aim"], row["aim_met"]) == (None, None, None, None)


@pytest.mark.parametrize(
    ("claim", "value", "met", "aim_met"),
    [
        (Claim("<=", 1.5, aim=1.25), 1.5, True, False),
        (Claim("<=", 1.5, aim=1.25), 1.25, True, True),
        (Claim("<=", 1.5, aim=1.25), 1.51, False, False),
        (Claim(">=", 0.55, aim=0.75), 0.55, True, False),
        (Claim(">=", 0.55, aim=0.75), 0.54, False, False),
        (Claim("<", 600), 600, False, None),
        (Claim("<", 600), 599.9, True, None),
    ],
)
def test_a_claim_is_judged_at_its_bound(claim: Claim, value: float, met: object, aim_met: object) -> None:
    row = measured("f", [value], "x", claim)
    assert (row["met"], row["aim_met"]) == (met, aim_met)


def test_a_claim_of_a_figure_with_a_reference_is_of_the_ratio() -> None:
    row = compared("f", [300.0], "us", ("floor", [100.0]), Claim("<=", 1.5))
    assert (row["must"], row["met"]) == ("ratio <= 1.5", False)


def test_rounds_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="2 rounds of ours and 1 of 'floor' are no pairs"):
        compared("f", [1.0, 2.0], "us", ("floor", [1.0]))
    with pytest.raises(ValueError, match="no pairs"):
        compared("f", [], "us", ("floor", []))
    with pytest.raises(ValueError, match="no round was measured"):
        measured("f", [], "us")


def test_a_reference_of_nothing_gives_no_ratio() -> None:
    with pytest.raises(ValueError, match="against which there is no ratio"):
        compared("f", [1.0], "us", ("floor", [0.0]))


def test_rounds_pair_what_was_measured_in_the_same_round() -> None:
    rounds = Rounds()
    for ours, floor in ((2.0, 1.0), (30.0, 10.0), (8.0, 2.0)):
        rounds.add("floor", floor)
        rounds.add("ours", ours)
    row = rounds.against("f", "ours", "us", "floor", Claim("<=", 3))
    assert (row["ratio"], row["spread"], row["met"]) == (3.0, [2.0, 4.0], True)
    assert rounds.alone("g", "ours", "us")["value"] == rounds.median("ours") == 8.0


def test_unmet_are_claims_that_do_not_hold_and_not_figures_without_one() -> None:
    rows = [measured("claimed", [2.0], "x", Claim("<=", 1)), measured("told", [2.0], "x")]
    assert [row["name"] for row in unmet(rows)] == ["claimed"]
