"""Windows of served vectors, recomputed from a lake that the archiver wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from bus.errors import Unavailable
from bus.positions import TopicPartition
from bus.watermarks import Watermark
from drift_detector.domain.figures import Assessment

if TYPE_CHECKING:
    from drift_detector.domain.figures import Measured
    from tidemark.scoring.v1.feature_vector_pb2 import FeatureVector

    from tests.unit.consistency.conftest import Shop

HOUR_US = 3_600_000_000


def figures(measured: Measured) -> dict[tuple[str, str], float | None]:
    """By subject and statistic; rates of all features together and lags are left out."""
    return {
        (one.subject, one.statistic): one.value
        for one in measured.findings.figures
        if one.subject and not one.statistic.startswith("gap_")
    }


def statistic(measured: Measured, name: str, subject: str = "") -> float | None:
    return next(
        one.value for one in measured.findings.figures if (one.subject, one.statistic) == (subject, name)
    )


async def busy_hour(shop: Shop, hour: int = 10, *, asked: int = 4) -> None:
    """Rides and requests from the hour on; nothing moves time beyond it."""
    for number in range(asked):
        at = hour + number / 10
        await shop.ride(at, driver=f"d{number % 2}", rider=f"r{number % 3}", fare=7.5 + number)
        await shop.ask(at + 0.05, f"q{hour}-{number}", driver=f"d{number % 2}", rider=f"r{number % 3}")


async def pass_time(shop: Shop, hours: float) -> None:
    """Somebody asks much later, so that time has passed."""
    await shop.ask(hours, f"later-{hours}", driver=None, rider=None)


async def test_what_the_rows_hold_is_what_the_lake_gives(shop: Shop) -> None:
    await busy_hour(shop)
    await pass_time(shop, 11.2)
    (measured,) = await shop.judged()
    assert measured.findings.assessment is Assessment.OK
    assert measured.findings.clear
    assert measured.window.start_us == 10 * HOUR_US
    assert measured.findings.rows == 4
    assert figures(measured) == {}
    assert statistic(measured, "mismatch_rate") == 0
    assert "4 of 4 requests recomputed: every feature is the same, bit for bit" in measured.findings.reason


async def test_a_row_that_somebody_changed_is_a_mismatch_of_exactly_that_feature(shop: Shop) -> None:
    await busy_hour(shop)
    shop.spoil_row("rider_rides", "r0")
    await shop.ask(10.5, "q-spoilt", driver="d0", rider="r0")
    await pass_time(shop, 11.2)
    (measured,) = await shop.judged()
    assert measured.findings.assessment is Assessment.BREACHED
    assert figures(measured) == {("rider_rides.last_fare", "mismatch_rate"): 0.2}
    assert "1 differ (rider_rides.last_fare mismatch rate 0.2)" in measured.findings.reason


async def test_a_single_difference_is_a_breach_however_few_were_looked_at(shop: Shop) -> None:
    await busy_hour(shop, asked=1)
    shop.spoil_row("rider_rides", "r0")
    await shop.ask(10.5, "q-spoilt", driver="d0", rider="r0")
    await pass_time(shop, 11.2)
    (measured,) = await shop.judged(shop.consistency(minimum_rows=100))
    assert measured.findings.assessment is Assessment.BREACHED


async def test_few_requests_without_a_difference_say_nothing(shop: Shop) -> None:
    await busy_hour(shop, asked=2)
    await pass_time(shop, 11.2)
    (measured,) = await shop.judged()
    assert measured.findings.assessment is Assessment.INSUFFICIENT
    assert not measured.findings.clear


async def test_a_rate_that_is_allowed_is_no_breach_and_a_few_rows_are_no_rate(shop: Shop) -> None:
    await busy_hour(shop)
    shop.spoil_row("rider_rides", "r0")
    await shop.ask(10.5, "q-spoilt", driver="d0", rider="r0")
    await pass_time(shop, 11.2)
    (allowed,) = await shop.judged(shop.consistency(max_rate=0.3))
    assert allowed.findings.assessment is Assessment.OK
    assert allowed.findings.clear
    (few,) = await shop.judged(shop.consistency(name="few", max_rate=0.1, minimum_rows=6))
    assert few.findings.assessment is Assessment.INSUFFICIENT


async def test_a_lost_row_is_missed_in_all_its_features_that_would_have_a_value(shop: Shop) -> None:
    await busy_hour(shop)
    del shop.rows.stored[shop.row_key("driver_rides", "d0")]
    await shop.ask(10.9, "q-lost", driver="d0", rider="r1")
    await pass_time(shop, 11.2)
    (measured,) = await shop.judged()
    assert figures(measured) == {
        ("driver_rides.rides_1h", "missing_rate"): 0.2,
        ("driver_rides.mean_fare_2h", "missing_rate"): 0.2,
    }


async def test_when_every_row_was_lost_all_is_missed(shop: Shop) -> None:
    await busy_hour(shop)
    await pass_time(shop, 11.2)
    shop.rows.stored.clear()
    for number in range(4):
        await shop.ask(11.3 + number / 100, f"q-after-{number}", driver="d0", rider="r0")
    await pass_time(shop, 12.2)
    _, after = await shop.judged()
    assert after.findings.assessment is Assessment.BREACHED
    assert set(figures(after)) == {
        ("driver_rides.rides_1h", "missing_rate"),
        ("driver_rides.mean_fare_2h", "missing_rate"),
        ("rider_rides.last_fare", "missing_rate"),
    }


async def test_a_row_that_grew_again_after_it_was_lost_differs_from_what_it_says_it_applied(
    shop: Shop,
) -> None:
    await busy_hour(shop)
    del shop.rows.stored[shop.row_key("driver_rides", "d0")]
    again = type(shop)(shop.folder, rows=shop.rows)  # a writer that has nothing cached
    again.ends, again._unkept = shop.ends, shop._unkept
    await again.ride(10.5, driver="d0")
    await again.ask(10.6, "q-again", driver="d0", rider="r1")
    await pass_time(again, 11.2)
    (measured,) = await again.judged()
    assert ("driver_rides.rides_1h", "mismatch_rate") in figures(measured)


async def test_a_value_that_the_lake_does_not_have_is_extra(shop: Shop) -> None:
    await busy_hour(shop)

    def invent(features: FeatureVector) -> None:
        features.statuses = bytes([1, *features.statuses[1:]])

    await shop.ask(10.6, "q-invented", driver="nobody", rider="r1", spoil=invent)
    await pass_time(shop, 11.2)
    (measured,) = await shop.judged()
    assert figures(measured) == {("driver_rides.rides_1h", "extra_rate"): 0.2}


async def test_an_event_that_is_late_is_a_lag_and_no_defect(shop: Shop) -> None:
    await busy_hour(shop)
    reach = await shop.ride(10.5, driver="d0", known_hours=10.5, apply=False)
    await shop.ask(10.6, "q-before", driver="d0", rider="r1")
    await reach()
    await shop.ask(10.7, "q-after", driver="d0", rider="r1")
    await pass_time(shop, 11.2)
    (measured,) = await shop.judged()
    assert figures(measured) == {}
    assert measured.findings.assessment is Assessment.OK
    assert statistic(measured, "gap_max_seconds") == pytest.approx(360)


async def test_an_entity_whose_first_event_is_on_its_way_is_not_missed(shop: Shop) -> None:
    await busy_hour(shop)
    await shop.ride(10.5, driver="new", apply=False)
    await shop.ask(10.6, "q-new", driver="new", rider="r1")
    await pass_time(shop, 11.2)
    (measured,) = await shop.judged()
    assert figures(measured) == {}


async def test_events_later_than_the_request_and_older_than_the_window_are_as_they_were(
    shop: Shop,
) -> None:
    await shop.ride(2.0, driver="d0", rider="r0")
    await shop.ride(12.5, driver="d0", rider="r0", fare=3)
    for number in range(3):
        await shop.ask(12.2 + number / 100, f"q-{number}", driver="d0", rider="r0")
    await shop.ask(12.3, "q-unknown", driver="d7", rider=None)
    await pass_time(shop, 13.2)
    (measured,) = await shop.judged()
    assert figures(measured) == {}
    assert measured.findings.assessment is Assessment.OK


async def test_vectors_of_another_contract_and_of_topics_created_anew_are_not_judged(
    shop: Shop,
) -> None:
    await busy_hour(shop)

    def of_another(features: FeatureVector) -> None:
        features.contract_hash = b"another"

    def of_the_past(features: FeatureVector) -> None:
        features.rows[0].applied_offsets[0] = 10_000

    await shop.ask(10.6, "q-other", driver="d0", rider="r1", spoil=of_another)
    await shop.ask(10.7, "q-past", driver="d0", rider="r1", spoil=of_the_past)
    await shop.ask(10.8, "q-b", driver="d0", version="b", spoil=of_another)
    await pass_time(shop, 11.2)
    of_a, of_b = await shop.judged()
    assert statistic(of_a, "unjudged_rate") == pytest.approx(2 / 6)
    assert of_a.findings.assessment is Assessment.OK
    assert of_b.findings.assessment is Assessment.NO_REFERENCE


async def test_a_vector_that_the_caller_gave_is_not_judged(shop: Shop) -> None:
    await busy_hour(shop)

    def made_up(features: FeatureVector) -> None:
        features.values = np.array([3.0, 4.0, 5.0], "<f4").tobytes()
        features.statuses = b"\1\1\1"
        del features.rows[:]

    await shop.ask(10.8, "q-given", is_given=True, spoil=made_up)
    await pass_time(shop, 11.2)
    (measured,) = await shop.judged()
    assert measured.findings.reason.startswith("4 of 5 requests recomputed")
    assert figures(measured) == {}


async def test_a_log_that_names_a_row_of_no_view_is_no_reason_to_stop(shop: Shop) -> None:
    await busy_hour(shop)

    def elsewhere(features: FeatureVector) -> None:
        features.rows[0].view = "elsewhere"

    await shop.ask(10.8, "q-odd", driver="d0", rider="r1", spoil=elsewhere)
    await pass_time(shop, 11.2)
    (measured,) = await shop.judged()
    assert measured.findings.rows == 5
    assert figures(measured) == {}, "the row is taken as absent, and what it should hold is what was served"


async def test_a_window_that_cannot_be_read_is_named_and_ends_nothing_else(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await busy_hour(shop)
    await pass_time(shop, 11.2)
    shop.archive()
    auditor = shop.auditor()
    monkeypatch.setattr("drift_detector.adapters.lake.served_of", lambda *_: 1 / 0)
    with pytest.raises(Unavailable, match="fares at 36000000000 us cannot be recomputed: ZeroDiv"):
        await auditor.look()
    monkeypatch.undo()
    await auditor.look()
    assert len(shop.told) == 1


async def test_a_damaged_table_is_named_and_read_again_once_it_is_whole(shop: Shop) -> None:
    await busy_hour(shop)
    await pass_time(shop, 11.2)
    shop.archive()
    (data,) = (shop.folder / "lake" / "sources" / "rides.v1").glob("_event_month=*/*.parquet")
    whole = data.read_bytes()
    data.write_bytes(whole[:40])
    auditor = shop.auditor()
    with pytest.raises(Unavailable, match=r"lake table .*sources/rides.v1 cannot be read"):
        await auditor.look()
    data.write_bytes(whole)
    await auditor.look()
    assert len(shop.told) == 1


async def test_each_version_is_told_of_and_a_breach_before_what_is_clear(shop: Shop) -> None:
    await busy_hour(shop)
    shop.spoil_row("rider_rides", "r0")
    await shop.ask(10.5, "q-b", driver="d0", rider="r0", version="b")
    await pass_time(shop, 11.2)
    first, second = await shop.judged()
    assert (first.version, first.findings.assessment) == ("b", Assessment.BREACHED)
    assert (second.version, second.findings.assessment) == ("a", Assessment.OK)


async def test_nothing_is_judged_before_the_lake_holds_what_rows_may_have_applied(shop: Shop) -> None:
    await busy_hour(shop)
    await pass_time(shop, 11.2)
    shop.archive("tidemark.predictions.made.v1")
    auditor = shop.auditor()
    await auditor.look()
    assert shop.told == []
    assert shop.progress == []
    shop.archive()
    await auditor.look()
    assert len(shop.told) == 1
    assert len(shop.progress) == 1


async def test_a_last_record_that_is_no_event_holds_nothing_up_once_the_archiver_has_passed_it(
    shop: Shop,
) -> None:
    await busy_hour(shop)
    await pass_time(shop, 11.2)
    shop.archive()
    where = TopicPartition("rides.v1", 0)
    shop.ends[where] += 1
    auditor = shop.auditor()
    await auditor.look()
    assert shop.told == []
    shop.kept[where] = Watermark(shop.ends[where])
    await auditor.look()
    assert len(shop.told) == 1


async def test_a_window_is_not_closed_while_predictions_may_be_on_their_way(shop: Shop) -> None:
    await busy_hour(shop)
    shop.archive()
    auditor = shop.auditor()
    await auditor.look()
    await pass_time(shop, 11.05)  # within the five minutes that a request may take to become known
    shop.archive()
    await auditor.look()
    assert shop.told == []
    await pass_time(shop, 11.1)
    await auditor.look()
    assert shop.told == []
    shop.archive()
    await auditor.look()
    assert len(shop.told) == 1


async def test_what_is_asked_of_a_window_after_time_has_passed_it_changes_nothing(shop: Shop) -> None:
    await busy_hour(shop)
    await pass_time(shop, 11.2)
    shop.spoil_row("rider_rides", "r0")
    await shop.ask(10.5, "q-backdated", driver="d0", rider="r0")
    (measured,) = await shop.judged()
    assert measured.findings.rows == 4
    assert measured.findings.assessment is Assessment.OK


@pytest.mark.parametrize("survived", range(5))
async def test_a_process_that_dies_between_any_two_facts_leaves_the_same_facts(
    shop: Shop, survived: int
) -> None:
    for hour in (10, 11, 14):
        await busy_hour(shop, hour)
        if hour == 11:
            await shop.ask(11.6, "q-b", driver="d0", rider="r0", version="b")
    await pass_time(shop, 15.2)
    monitors = (shop.consistency(), shop.freshness())
    shop.archive()
    shop.fail_after = survived
    with pytest.raises(Unavailable):
        await shop.auditor(*monitors).look()
    shop.fail_after = None
    rest = await shop.judged(*monitors)
    told = shop.told
    assert len(told) == survived + len(rest)
    keys = [(one.monitor.name, one.version, one.window) for one in told]
    assert len(set(keys)) == len(keys) == 2 * 4
    shop.told, shop.known = [], type(shop.known)()
    assert {repr(one) for one in await shop.judged(*monitors)} == {repr(one) for one in told}


async def test_batches_of_any_size_come_to_the_same(shop: Shop) -> None:
    await busy_hour(shop, asked=8)
    del shop.rows.stored[shop.row_key("driver_rides", "d0")]
    shop.spoil_row("rider_rides", "r1")
    for number in range(6):
        await shop.ask(10.9, f"q-lost-{number}", driver="d0", rider="r1")
    await pass_time(shop, 11.2)
    (whole,) = await shop.judged()
    for batch_rows in (1, 3):
        shop.told, shop.known = [], type(shop.known)()
        await shop.auditor(batch_rows=batch_rows).look()
        assert repr(shop.told) == repr([whole])


async def test_freshness_is_the_share_of_reads_that_met_their_views_objective(shop: Shop) -> None:
    await busy_hour(shop)
    late = await shop.ride(10.5, driver="d0", rider="elsewhere", apply=False)
    await shop.ask(10.51, "q-soon", driver="d0", rider="r1")
    await shop.ask(10.6, "q-late", driver="d0", rider="r1")
    await late()
    await pass_time(shop, 11.2)
    (measured,) = await shop.judged(shop.freshness(target=0.9))
    assert measured.findings.assessment is Assessment.BREACHED
    share = statistic(measured, "fresh_share", "driver_rides")
    assert share == pytest.approx(5 / 6)
    assert statistic(measured, "gap_max_seconds", "driver_rides") == pytest.approx(360)
    (lenient,) = await shop.judged(shop.freshness(name="lenient", target=0.7))
    assert lenient.findings.assessment is Assessment.OK


async def test_a_sample_of_none_looks_at_nothing_and_windows_without_requests_are_passed_over(
    shop: Shop,
) -> None:
    await busy_hour(shop, 10)
    await busy_hour(shop, 300)
    await pass_time(shop, 301.2)
    told = await shop.judged()
    assert [one.window.start_us for one in told] == [10 * HOUR_US, 300 * HOUR_US]
