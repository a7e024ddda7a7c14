"""What features must be: computed without the platform's services, from what was sent or from the lake."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from bus.events import from_record
from feature_store import EventBatch, Incoming, Requests, decode_events
from feature_store.offline import AsOf, point_in_time

from careless.odd import STORM_STATION
from careless.serving import MODEL
from careless.upstream import FROM, TO
from examples.flights.facts import ScoringRequest
from examples.flights.streams import load_streams, microseconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.events import Headers
    from feature_store import Project
    from feature_store.vectors import Vectors

    from careless.records import Record

ASKED_US: Final = microseconds(TO)
STORM: Final = "storm"
_FLIGHTS: Final = 40


def questions() -> list[ScoringRequest]:
    """Ask about entities that bad events name, a station in a storm, and the evening's flights."""
    named = {"origin": "JFK", "destination": "LAX", "carrier": "DL", "tail_number": "N713TW"}
    asked = load_streams(FROM, TO).requests.requests(slice(None))[-_FLIGHTS:]
    return [
        ScoringRequest("named", ASKED_US, named, ASKED_US, 2475.0),
        ScoringRequest(STORM, ASKED_US, named | {"origin": STORM_STATION}, ASKED_US, 2475.0),
        *(replace(question, request_time_us=ASKED_US) for question in asked),
    ]


def vectors(project: Project, events: Mapping[str, EventBatch], asked: Sequence[ScoringRequest]) -> Vectors:
    """What the engine gives for these questions when it knows these events."""
    contract = project.contract(MODEL)
    requests = Requests(
        time_us=np.array([question.request_time_us for question in asked]),
        entities={
            name: np.array([question.entities[name] for question in asked], dtype=object)
            for name in contract.entities
        },
        context={
            "scheduled_at": np.array([question.scheduled_at_us for question in asked]),
            "distance_miles": np.array([float(question.distance_miles) for question in asked]),
        },
    )
    return point_in_time(contract, events, requests, AsOf())


def events_of(project: Project, records: Sequence[Record]) -> dict[str, EventBatch]:
    """Read records straight from what was sent; none may be refused."""
    batches: dict[str, EventBatch] = {}
    for topic, source in project.sources.items():
        events = [
            from_record(
                record.key,
                record.value,
                cast("Headers", record.headers),  # Kafka's, unlike the bus's own, may hold nulls
                timestamp_ms=record.timestamp_ms,
            )
            for record in records
            if record.topic == topic
        ]
        incoming = Incoming.of(events)
        batches[topic], rejects = decode_events(source, incoming)
        assert not rejects, rejects
    return batches


def none_recognised(events: Mapping[str, EventBatch]) -> dict[str, EventBatch]:
    """The same events under ids of their own, so that none repeats another."""
    return {
        topic: replace(batch, ids=np.array([str(index) for index in range(len(batch))], dtype=object))
        for topic, batch in events.items()
    }
