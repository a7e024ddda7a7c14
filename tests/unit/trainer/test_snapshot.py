"""A training set holds what was known, and one hash says which."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from feature_store import Label, Project, field
from feature_store.vectors import Status
from training_sets import build
from training_sets.datasets import Dataset
from training_sets.errors import EmptyLake, NoLabelledRows, NotBinary
from training_sets.examples import Period, label_examples
from training_sets.memory import MemoryEvents

HOUR_US = 3_600_000_000
START_US = 1_356_998_400_000_000
END_US = START_US + 400 * HOUR_US

MakeLake = Callable[..., MemoryEvents]


def snapshot(
    project: Project, lake: MemoryEvents, until_us: int = END_US, from_us: int | None = None
) -> Dataset:
    return build(project, project.models["shop-purchase"], Period(from_us, until_us), lake)


def test_every_labelled_request_is_a_row_with_its_vector(project: Project, make_lake: MakeLake) -> None:
    dataset = snapshot(project, make_lake())
    assert len(dataset) == len(dataset.vectors) == 400
    assert set(np.unique(dataset.labelled.labels)) == {0.0, 1.0}
    assert (np.diff(dataset.labelled.requests.time_us) > 0).all()
    # The purchase 7.5 minutes before a visit began was recorded by then: at least one counts.
    assert (dataset.vectors.values[:, 1] >= 1).all()


def test_what_became_known_after_the_cut_does_not_exist(project: Project, make_lake: MakeLake) -> None:
    until_us = START_US + 50 * HOUR_US
    dataset = snapshot(project, make_lake(), until_us)
    assert dataset.labelled.known_us.max() <= until_us
    assert dataset.labelled.requests.time_us.max() < until_us - HOUR_US // 2
    assert snapshot(project, make_lake(), until_us + 1).labelled.known_us.max() <= until_us + 1


def test_requests_before_the_period_are_left_out_but_feed_features(
    project: Project, make_lake: MakeLake
) -> None:
    from_us = START_US + 50 * HOUR_US
    whole, later = snapshot(project, make_lake()), snapshot(project, make_lake(), from_us=from_us)
    in_period = whole.labelled.requests.time_us >= from_us
    assert in_period.sum() == len(later)
    assert np.array_equal(whole.vectors.values[in_period], later.vectors.values)


def test_features_that_became_known_later_are_staler(project: Project, make_lake: MakeLake) -> None:
    """No leakage: shift every recorded time, and a request knows less."""
    prompt = snapshot(project, make_lake()).vectors
    late = snapshot(project, make_lake(lag_us=12 * HOUR_US), END_US + 12 * HOUR_US).vectors
    assert late.values[:, 1].mean() < prompt.values[:, 1].mean()
    assert (late.statuses == Status.MISSING).sum() > (prompt.statuses == Status.MISSING).sum()


def test_a_correction_counts_and_a_duplicate_does_not(
    shop: Any, project: Project, make_lake: MakeLake
) -> None:
    facts = shop.world(60)
    ended = facts[shop.visits.topic]
    plain = snapshot(project, make_lake(facts)).labelled
    corrected = {**ended[5], "bought": not ended[5]["bought"], "ended_at": ended[5]["ended_at"] + 1}
    facts[shop.visits.topic] = [*ended, corrected, *ended[10:20]]
    again = snapshot(project, make_lake(facts)).labelled
    assert again.keys.tolist() == plain.keys.tolist()
    changed = np.flatnonzero(again.labels != plain.labels)
    assert again.keys[changed].tolist() == ["v5"]


def test_the_order_of_events_changes_nothing(shop: Any, project: Project, make_lake: MakeLake) -> None:
    lake = make_lake()
    shuffled = MemoryEvents(
        {
            topic: batch.take(np.random.default_rng(1).permutation(len(batch)))
            for topic, batch in lake._batches.items()
        }
    )
    del shop
    assert snapshot(project, shuffled).snapshot() == snapshot(project, lake).snapshot()


def test_the_snapshot_names_what_it_is_made_of(project: Project, make_lake: MakeLake) -> None:
    described = snapshot(project, make_lake()).describe()
    assert set(described) == {"sources", "definition", "rows"}
    assert described["sources"]["shop.visits.v1"] == {
        "version": 1,
        "next_offsets": {"0": 200, "1": 200},
        "rows": 400,
    }


def test_another_version_row_or_definition_is_another_snapshot(
    shop: Any, project: Project, make_lake: MakeLake
) -> None:
    facts = shop.world(60)
    plain = snapshot(project, make_lake(facts))
    facts[shop.visits.topic][0]["bought"] ^= True
    others = [
        snapshot(project, make_lake(shop.world(60), version=2)),
        snapshot(project, make_lake(facts)),
        snapshot(project, make_lake(shop.world(60)), until_us=END_US + 1),
    ]
    assert len({plain.snapshot(), *(other.snapshot() for other in others)}) == 4
    assert plain.definition == others[0].definition
    assert plain.definition != others[2].definition


def test_no_label_in_the_period_is_said(project: Project, make_lake: MakeLake) -> None:
    with pytest.raises(NoLabelledRows, match="400 examples and 400 labels 'bought'"):
        snapshot(project, make_lake(), from_us=END_US - 1)


def test_no_event_by_the_cut_is_said(project: Project, make_lake: MakeLake) -> None:
    with pytest.raises(EmptyLake, match=r"shop\.purchases\.v1"):
        snapshot(project, make_lake(), until_us=START_US - 1)


def test_a_label_that_is_a_number_is_refused(shop: Any, project: Project, make_lake: MakeLake) -> None:
    lake = make_lake()
    amount = Label("amount", source=shop.purchases, request_key="customer", value=field("amount"))
    spec = replace(project.models["shop-purchase"], label=amount)
    examples, outcomes = (lake.read(source, END_US).batch for source in (shop.visits, shop.purchases))
    with pytest.raises(NotBinary, match="label 'amount' has the value"):
        label_examples(spec, examples, outcomes, Period(None, END_US))
