"""Which of a source's events rows of some requests may hold: what need not be read is not."""

from collections.abc import Iterable
from functools import reduce
from operator import and_, or_

import pyarrow as pa
import pyarrow.dataset as ds
from feature_store import Contract, Requests, Source, View
from feature_store.expressions import EntityKey, Field


def events_about(contract: Contract, source: Source, requests: Requests, latest_us: int) -> ds.Expression:
    """Say which of a source's events rows of these requests may hold.

    Of the entities asked about, recorded by `latest_us`, and as far back as the longest window or the time
    after which a row is stale: to the first for a window of all time.

    Args:
        contract: The model's.
        source: One that its views read.
        requests: At least one.
        latest_us: The last recorded time that any of their rows may have applied.
    """
    views = [view for view in contract.views if view.source.topic == source.topic]
    about = [_about(view, requests, int(requests.time_us.min())) for view in views]
    return (ds.field("_recorded_time") <= _time(latest_us)) & reduce(or_, about)


def events_ever_about(view: View, requests: Requests, latest_us: int) -> ds.Expression:
    """Say which events a view's rows of these entities ever held: as `events_about`, from the first.

    What is older than a row can show tells only whether there was one: STALE from MISSING.
    """
    return (ds.field("_recorded_time") <= _time(latest_us)) & _of_entities(view, requests)


def reach_us(contract: Contract, source: Source) -> int:
    """Return how far back rows of a source's views look: the longest window, or TTL where it is longer."""
    return max(_reach_us(view) for view in contract.views if view.source.topic == source.topic)


def _reach_us(view: View) -> int:
    return max(view.ttl_us, *(one.window_us for one in view.aggregations.values()))


def _about(view: View, requests: Requests, first_us: int) -> ds.Expression:
    wanted = _of_entities(view, requests)
    earliest_us = first_us - _reach_us(view)
    return wanted & (ds.field("_event_time") >= _time(earliest_us)) if earliest_us > 0 else wanted


def _of_entities(view: View, requests: Requests) -> ds.Expression:
    # A part that is computed, from events or requests, narrows nothing down: more is read, not less.
    wanted = [
        ds.field(field.name).isin(_keys(requests.entities[asked.part]))
        for asked, field in zip(view.entity.key, view.key, strict=True)
        if isinstance(asked, EntityKey) and isinstance(field, Field)
    ]
    return reduce(and_, wanted, ds.scalar(value=True))


def _keys(entities: Iterable[str | None]) -> pa.Array:
    return pa.array(sorted({key for key in entities if key}), pa.string())


def _time(time_us: int) -> pa.Scalar:
    return pa.scalar(time_us, pa.timestamp("us", tz="UTC"))
