from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bus.errors import Unavailable
from bus.events import Event
from bus.memory import MemoryPublisher
from bus.received import Received
from bus.topics import OUTCOMES_OBSERVED
from feature.adapters.kafka import KafkaOutcomes
from feature.freshness import FreshnessHistogram
from feature.handlers import Features
from feature.metrics import Metrics
from feature_store import Check, Count, Entity, FeatureView, Json, Label, Mean, Project, Source, field
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows
from feature_store.rows import key_prefix
from prometheus_client import CollectorRegistry
from tidemark.outcomes.v1.outcome_pb2 import OutcomeObserved

if TYPE_CHECKING:
    from feature.domain.outcomes import Outcome

AT_US = 1_365_000_000_000_000
payments = Source(
    "payments.made.v1",
    format=Json({"payment_id": "text", "card": "text", "amount": "number", "fraud": "flag"}),
    event_time=None,
    checks=[Check.required("payment_id", "card", "amount"), Check.range("amount", 0, 10_000)],
    max_lateness=timedelta(days=1),
)
logins = Source("logins.made.v1", format=Json({"card": "text"}), event_time=None)
card = Entity("card")


class CardPayments(FeatureView):
    source, entity = payments, card
    payments_1h = Count(window="1h")
    mean_amount_1h = Mean("amount", window="1h")


class CardLogins(FeatureView):
    source, entity = logins, card
    logins_1h = Count(window="1h")


PAYMENTS = key_prefix("card_payments", CardPayments.view.digest)
fraud = Label(
    "fraud", source=payments, request_key="payment_id", value=field("fraud"), when=~field("fraud").is_null()
)
project = Project(
    module="payments",
    sources={source.topic: source for source in (payments, logins)},
    entities={"card": card},
    views={view.view.name: view.view for view in (CardPayments, CardLogins)},
    requests={},
    labels={"fraud": fraud},
    models={},
)


NOW_US = AT_US + 3_600_000_000


class Store:
    """A service with its store and bus in memory."""

    def __init__(self) -> None:
        self.rows = MemoryFeatureRows()
        self.applier = Applier(project.views.values(), self.rows, MemoryClaims())
        self.publisher = MemoryPublisher()
        self.registry = CollectorRegistry()
        self.features = Features(
            project,
            self.applier,
            KafkaOutcomes(self.publisher),
            Metrics(self.registry),
            freshness=FreshnessHistogram(project.views.values(), self.registry),
            now_us=lambda: NOW_US,
        )

    def outcomes(self) -> list[Event]:
        return self.publisher.log.events(OUTCOMES_OBSERVED.name)

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def store() -> Store:
    return Store()


def payment(number: int, **changes: Any) -> Received:
    fields = {"payment_id": f"p{number}", "card": "c1", "amount": 12.5, "fraud": True, **changes}
    return received(payments, number, json.dumps(fields).encode())


def received(source: Source, number: int, data: bytes, **changes: Any) -> Received:
    event = {
        "id": f"e{number}",
        "type": "made",
        "source": "test",
        "subject": "",
        "time_us": AT_US + number,
        "recorded_time_us": AT_US + 10 + number,
        "key": b"",
        "data": data,
        "traceparent": f"00-{number:032x}-{number:016x}-01",
        **changes,
    }
    return Received(source.topic, 0, number, Event(**event))


async def test_valid_events_reach_the_rows_of_every_view_of_their_source(store: Store) -> None:
    batch = [payment(0), received(logins, 0, b'{"card": "c1"}'), payment(1, card="c2")]
    assert await store.features.on_events(batch) == []
    keys = {PAYMENTS + b"c1", PAYMENTS + b"c2", key_prefix("card_logins", CardLogins.view.digest) + b"c1"}
    assert set(store.rows.stored) == keys
    assert store.count("feature_events_total", source=payments.topic) == 2
    assert store.count("feature_rows_written_total", source=payments.topic) == 2
    assert store.count("feature_cache_misses_total", source=payments.topic) == 2


async def test_how_soon_events_are_readable_is_counted_once_they_are(store: Store) -> None:
    late = payment(0)
    fresh = received(
        payments, 1, payment(1).event.data, time_us=NOW_US - 20_000_000, recorded_time_us=NOW_US - 30_000
    )
    await store.features.on_events([late, fresh])
    await store.features.on_events([received(payments, 2, fresh.event.data, id="e1")])  # a repeat

    def below(seconds: str, since: str, view: str = "card_payments") -> float:
        return store.count("feature_freshness_seconds_bucket", view=view, since=since, le=seconds)

    assert [below(bound, "recorded") for bound in ("0.025", "0.05", "300.0", "3600.0", "+Inf")] == [
        0,
        1,
        1,
        2,
        2,
    ]
    assert [below(bound, "event") for bound in ("0.05", "15.0", "60.0", "3600.0")] == [0, 0, 1, 2]
    assert below("+Inf", "event", "card_logins") == 0
    total = store.count("feature_freshness_seconds_sum", view="card_payments", since="recorded")
    assert total == pytest.approx(3_600 - 10e-6 + 0.03)


async def test_an_event_that_was_not_stored_is_not_counted_as_readable(store: Store) -> None:
    class Away:
        async def apply(self, _: object) -> None:
            raise Unavailable("redis")

    features = Features(
        project,
        Away(),  # type: ignore[arg-type]
        KafkaOutcomes(store.publisher),
        Metrics(CollectorRegistry()),
        freshness=FreshnessHistogram(project.views.values(), registry := CollectorRegistry()),
    )
    with pytest.raises(Unavailable):
        await features.on_events([payment(0)])
    counted = {"view": "card_payments", "since": "recorded"}
    assert registry.get_sample_value("feature_freshness_seconds_count", counted) == 0


async def test_a_row_that_cannot_be_read_is_counted_and_begun_anew(store: Store) -> None:
    store.rows.stored[PAYMENTS + b"c1"] = b"TM\x02\x00 of a later format"
    assert await store.features.on_events([payment(0)]) == []
    assert store.rows.stored[PAYMENTS + b"c1"].startswith(b"TM\x01\x00")
    assert store.count("feature_rows_unreadable_total", source=payments.topic) == 1


async def test_each_event_that_fails_is_refused_with_its_reason_and_the_others_have_their_effect(
    store: Store,
) -> None:
    wrong = [
        received(payments, 1, b"not json"),
        payment(2, amount=None),
        payment(3, amount=20_000.0),
        received(payments, 4, payment(4).event.data, time_us=AT_US + 3_600_000_000),
        received(payments, 5, payment(5).event.data, time_us=AT_US - 10 * 86_400_000_000),
    ]
    rejections = await store.features.on_events([payment(0), *wrong, payment(6)])
    reasons = {rejection.received.offset: rejection.reason for rejection in rejections}
    assert reasons == {
        1: "MALFORMED_PAYLOAD",
        2: "MISSING_FIELD",
        3: "OUT_OF_RANGE",
        4: "FUTURE_EVENT",
        5: "LATE_BEYOND_LIMIT",
    }
    assert [event.key for event in store.outcomes()] == [b"p0", b"p6"]
    assert store.count("feature_rejects_total", source=payments.topic, reason="OUT_OF_RANGE") == 1


async def test_a_batch_of_nothing_but_bad_events_writes_nothing(store: Store) -> None:
    assert len(await store.features.on_events([received(payments, 0, b"?")])) == 1
    assert store.rows.stored == {}


async def test_an_outcome_says_what_was_true_and_when_it_was_known_and_continues_the_trace(
    store: Store,
) -> None:
    await store.features.on_events([payment(7)])
    (event,) = store.outcomes()
    assert OutcomeObserved.FromString(event.data) == OutcomeObserved(
        label="fraud", request_key="p7", value=1.0, revision=0
    )
    assert (event.id, event.key) == ("fraud:p7:0", b"p7")
    assert (event.time_us, event.recorded_time_us) == (AT_US + 7, AT_US + 17)
    assert event.traceparent == payment(7).event.traceparent


async def test_an_event_that_tells_no_truth_has_no_outcome(store: Store) -> None:
    await store.features.on_events([payment(0, fraud=None), payment(1, fraud=False)])
    assert [(event.id, OutcomeObserved.FromString(event.data).value) for event in store.outcomes()] == [
        ("fraud:p1:0", 0.0)
    ]


async def test_handling_a_batch_again_changes_no_row_and_tells_the_same_outcomes_under_the_same_ids(
    store: Store,
) -> None:
    batch = [payment(number) for number in range(5)]
    await store.features.on_events(batch)
    before = dict(store.rows.stored)
    await store.features.on_events(batch)
    assert store.rows.stored == before
    assert [event.id for event in store.outcomes()] == [
        f"fraud:p{number}:0" for number in (*range(5), *range(5))
    ]


async def test_an_event_published_twice_counts_once(store: Store) -> None:
    again = Received(payments.topic, 0, 1, payment(0).event)
    await store.features.on_events([payment(0), again])
    assert len(store.outcomes()) == 1
    assert store.count("feature_repeats_total", source=payments.topic) == 1


class Away:
    """Rows whose store is away until it is back."""

    def __init__(self, applier: Applier) -> None:
        self.applier = applier
        self.back = False

    async def apply(self, batch: Any) -> Any:
        if not self.back:
            raise Unavailable("the store is away")
        return await self.applier.apply(batch)


async def test_while_the_store_is_away_the_batch_waits_and_no_outcome_is_told(store: Store) -> None:
    rows = Away(store.applier)
    features = Features(project, rows, KafkaOutcomes(store.publisher), Metrics(CollectorRegistry()))
    with pytest.raises(Unavailable):
        await features.on_events([payment(0)])
    assert store.outcomes() == []
    rows.back = True
    await features.on_events([payment(0)])
    assert len(store.outcomes()) == 1


class Mute:
    """Outcomes that cannot be told until the log is back."""

    def __init__(self) -> None:
        self.back = False
        self.told: list[str] = []

    async def tell(self, outcomes: list[Outcome]) -> None:
        if not self.back:
            raise Unavailable("the log is away")
        self.told += [outcome.id for outcome in outcomes]


async def test_outcomes_that_could_not_be_told_are_told_when_the_batch_is_handled_again(store: Store) -> None:
    outcomes = Mute()
    features = Features(project, store.applier, outcomes, Metrics(CollectorRegistry()))
    with pytest.raises(Unavailable):
        await features.on_events([payment(0), payment(1)])
    outcomes.back = True
    rows = dict(store.rows.stored)
    await features.on_events([payment(0), payment(1)])
    assert outcomes.told == ["fraud:p0:0", "fraud:p1:0"]
    assert store.rows.stored == rows
    assert np.frombuffer(rows[PAYMENTS + b"c1"], "<i8")[2] == 1
