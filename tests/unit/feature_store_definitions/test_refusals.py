"""A definition that makes no sense is refused: where it stands, its name, what is wrong, what to write."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from feature_store import (
    Check,
    Count,
    DefinitionError,
    Entity,
    Expect,
    FeatureView,
    Json,
    Last,
    Mean,
    RequestTime,
    Share,
    Source,
    Sum,
    field,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS = {"order": "text", "user": "text", "city": "text", "price": "number", "paid": "flag", "at": "time"}
ORDERS = Source("orders.v1", format=Json(FIELDS), event_time="at")
USER = Entity("user")


class _Prices(FeatureView, abstract=True):
    mean_price_1d = Mean("price", window="1d")


def view(**declared: Any) -> type[FeatureView]:
    body = {"source": ORDERS, "entity": USER, "orders_1h": Count(window="1h"), **declared}
    return type(
        "UserThings", (FeatureView,), {name: value for name, value in body.items() if value is not None}
    )


REFUSALS: dict[str, tuple[Callable[[], object], str, str, str]] = {
    "topic": (
        lambda: Source("orders v1", format=Json(FIELDS), event_time="at"),
        "Source('orders v1')",
        "its topic is no Kafka topic name",
        "Write letters, digits, dots, dashes, underscores.",
    ),
    "partitions": (
        lambda: Source("orders.v1", format=Json(FIELDS), event_time="at", partitions=0),
        "Source('orders.v1')",
        "it has 0 partitions",
        "Write at least 1.",
    ),
    "lateness": (
        lambda: Source("orders.v1", format=Json(FIELDS), event_time="at", max_lateness=timedelta(days=-1)),
        "Source('orders.v1')",
        "max_lateness or max_clock_skew is negative",
        "Write a timedelta of zero or more.",
    ),
    "reserved field": (
        lambda: Source("orders.v1", format=Json({"_id": "text"}), event_time=None),
        "Source('orders.v1')",
        "field '_id' begins with an underscore",
        "Those names are the lake's own; rename it.",
    ),
    "event time unknown": (
        lambda: Source("orders.v1", format=Json(FIELDS), event_time="att"),
        "Source('orders.v1')",
        "event_time: its payload has no field 'att'",
        "Did you mean 'at'?",
    ),
    "event time no time": (
        lambda: Source("orders.v1", format=Json(FIELDS), event_time="price"),
        "Source('orders.v1')",
        "event_time: field 'price' is a number",
        "Name a field that is a time.",
    ),
    "check unknown field": (
        lambda: Source("orders.v1", format=Json(FIELDS), event_time="at", checks=[Check.required("users")]),
        "Source('orders.v1')",
        "check Required: field('users') is not in its payload",
        "Did you mean 'user'?",
    ),
    "check wrong type": (
        lambda: Source("orders.v1", format=Json(FIELDS), event_time="at", checks=[Check.range("user", 0, 1)]),
        "Source('orders.v1')",
        "check Range: field('user') is a text",
        "Name a field that is a number.",
    ),
    "check condition": (
        lambda: Source(
            "orders.v1", format=Json(FIELDS), event_time="at", checks=[Check.that(field("price"), "X")]
        ),
        "Source('orders.v1')",
        "check That: its condition is a number",
        "Write a condition, such as field(...) >= 0.",
    ),
    "expectation unknown field": (
        lambda: Source(
            "orders.v1",
            format=Json(FIELDS),
            event_time="at",
            expectations=[Expect.null_rate("prize", at_most=0.1)],
        ),
        "Source('orders.v1')",
        "expectation NullRate: field('prize') is not in its payload",
        "Did you mean 'price'?",
    ),
    "expectation wrong type": (
        lambda: Source(
            "orders.v1",
            format=Json(FIELDS),
            event_time="at",
            expectations=[Expect.passes(Check.range("city", 0, 1), at_least=1)],
        ),
        "Source('orders.v1')",
        "expectation Passes: field('city') is a text",
        "Name a field that is a number.",
    ),
    "expectation condition": (
        lambda: Source(
            "orders.v1",
            format=Json(FIELDS),
            event_time="at",
            expectations=[Expect.null_rate("city", at_most=0.1, where=field("price"))],
        ),
        "Source('orders.v1')",
        "expectation NullRate: where is a number",
        "Write a condition, such as field(...) >= 0.",
    ),
    "expectation reference of no text": (
        lambda: Source(
            "refunds.v1",
            format=Json(FIELDS),
            event_time="at",
            expectations=[Expect.references("price", ORDERS, "order", at_least=1)],
        ),
        "Source('refunds.v1')",
        "expectation References: field('price') is a number",
        "Name a field that is a text.",
    ),
    "expectation reference to nothing": (
        lambda: Expect.references("order", ORDERS, "number", at_least=1),
        "Expect.references('order')",
        "source orders.v1 has no text field 'number'",
        "Name a text that its events carry.",
    ),
    "expectation twice": (
        lambda: Source(
            "orders.v1",
            format=Json(FIELDS),
            event_time="at",
            expectations=[Expect.volume(at_least=1), Expect.volume(at_most=9)],
        ),
        "Source('orders.v1')",
        "expectation Volume() is declared twice",
        "Keep one: alerts tell them by name.",
    ),
    "expectation no share": (
        lambda: Expect.null_rate("price", at_most=5),
        "Expect.null_rate(5)",
        "it is no share",
        "Write a number between 0 and 1.",
    ),
    "expectation empty volume": (
        lambda: Expect.volume(at_least=2, at_most=1),
        "Expect.volume(at_least=2, at_most=1)",
        "no number lies between",
        "Write the smaller number first, zero or more.",
    ),
    "expectation never fresh": (
        lambda: Expect.fresh(within=timedelta(0)),
        "Expect.fresh(within=0:00:00)",
        "nothing is so fresh",
        "Write a positive timedelta.",
    ),
    "expectation unique by nothing": (
        lambda: Expect.unique(),  # noqa: PLW0108 - the caller is to be this file
        "Expect.unique()",
        "it names no field",
        "Name one or more.",
    ),
    "check empty range": (
        lambda: Check.range("price", 2, 1),
        "Check.range('price', 2, 1)",
        "no number lies in it",
        "Write the smaller number first.",
    ),
    "check pattern": (
        lambda: Check.matches("user", "("),
        "Check.matches('user')",
        "'(' is no regular expression: missing ), unterminated subpattern at position 0",
        "Write one that Python's re module reads.",
    ),
    "check reason": (
        lambda: Check.that(field("paid"), "not paid"),
        "Check.that(reason='not paid')",
        "it is no reason",
        'Write upper snake case, such as "SEEN_BEFORE_SENT".',
    ),
    "window form": (
        lambda: Mean("price", window="1 hour"),
        "Mean",
        "window: '1 hour' is no duration",
        'Write "90s", "15m", "1h", "7d", a timedelta, or "all".',
    ),
    "window zero": (
        lambda: Count(window=timedelta(0)),
        "Count",
        "window: datetime.timedelta(0) is no positive duration",
        'Write "90s", "15m", "1h", "7d", a timedelta, or "all".',
    ),
    "window tiles": (
        lambda: Sum("price", window="1h", tiles=7),
        "Sum",
        "window '1h' cannot be cut into 7 equal tiles",
        "Write 1 to 1000 tiles, a number that divides the window.",
    ),
    "default": (
        lambda: Last("price", window="1h", default=float("nan")),
        "Last",
        "default nan is not finite as float32",
        "Write a finite number.",
    ),
    "default too large": (
        lambda: RequestTime("x", request("x"), default=1e39),
        "RequestTime('x')",
        "default 1e+39 is not finite as float32",
        "Write a finite number.",
    ),
    "view without source": (
        lambda: view(source=None),
        "UserThings",
        "it has no source",
        "Write source = a Source, or declare the class abstract=True.",
    ),
    "view without entity": (
        lambda: view(entity=None),
        "UserThings",
        "it has no entity",
        "Write entity = a Entity, or declare the class abstract=True.",
    ),
    "view without features": (
        lambda: view(orders_1h=None),
        "UserThings",
        "it declares no feature",
        'Write at least one, such as events_24h = Count(window="24h").',
    ),
    "view key unknown": (
        lambda: view(entity=Entity("usr")),
        "UserThings",
        "key: source orders.v1 has no field 'usr'",
        "Did you mean 'user'?",
    ),
    "view key no text": (
        lambda: view(key="price"),
        "UserThings",
        "key: field 'price' is a number",
        "Entities are known by texts; name a text.",
    ),
    "view ttl": (
        lambda: view(ttl=3600),
        "UserThings",
        "ttl is 3600",
        "Write a positive timedelta, such as timedelta(days=2).",
    ),
    "view freshness": (
        lambda: view(freshness=timedelta(0)),
        "UserThings",
        "freshness is datetime.timedelta(0)",
        "Write a positive timedelta, such as timedelta(seconds=5).",
    ),
    "aggregation unknown field": (
        lambda: view(m=Mean("prize", window="1h")),
        "UserThings.m",
        "field('prize') is not in source orders.v1",
        "Did you mean 'price'?",
    ),
    "aggregation of text": (
        lambda: view(m=Mean("user", window="1h")),
        "UserThings.m",
        "it aggregates a text",
        "Compare a text, or divide a duration by a timedelta, to get a number or a flag.",
    ),
    "filter unknown field": (
        lambda: view(m=Count(where=field("size") > 1, window="1h")),
        "UserThings.m",
        "field('size') is not in source orders.v1",
        "Known: at, city, order, paid, price, user.",
    ),
    "filter no condition": (
        lambda: view(m=Count(where=field("price"), window="1h")),
        "UserThings.m",
        "its condition is a number",
        "Write a condition, such as field(...) >= 15.",
    ),
    "filter no expression": (
        lambda: view(m=Count(where="price > 1", window="1h")),  # type: ignore[arg-type]
        "UserThings.m",
        "'price > 1' is no expression",
        "Write field(...) or request(...), with what is to be computed of it.",
    ),
    "filter types": (
        lambda: view(m=Count(where=field("user") > 1, window="1h")),
        "UserThings.m",
        "text > number has no meaning",
        "Combine numbers with numbers, texts with texts, times with timedeltas, conditions with & | ~.",
    ),
    "filter reads request": (
        lambda: view(m=Count(where=request("price") > 1, window="1h")),
        "UserThings.m",
        "it is computed from events, which know no request('price')",
        "Read the event with field(...).",
    ),
    "share of number": (
        lambda: view(m=Share(where=field("price"), window="1h")),
        "UserThings.m",
        "where is a number",
        "Write a condition, such as field(...) >= 15.",
    ),
    "feature of abstract view": (
        lambda: _Prices.mean_price_1d,
        "_Prices",
        "it is abstract, so it has no features",
        "Name the feature of a view that inherits from it.",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_definition_without_sense_is_refused_with_what_to_write(
    case: str, assert_refused: Callable[..., None]
) -> None:
    assert_refused(REFUSALS[case])


def test_the_line_is_the_definitions_own() -> None:
    with pytest.raises(DefinitionError) as caught:
        Count(
            window="1 hour",
        )
    assert caught.value.location is not None
    source = Path(__file__).read_text().splitlines()
    assert source[caught.value.location.line - 1].strip() == "Count("
