"""Every aggregation over several windows, in three views of two sources, as a project."""

from typing import Any

from feature_store import (
    Contract,
    Count,
    Derived,
    DistinctCount,
    Entity,
    Ewma,
    FeatureView,
    First,
    Json,
    Last,
    Max,
    Mean,
    Min,
    Quantile,
    RequestTime,
    Share,
    Source,
    Std,
    Sum,
    TimeSince,
    coalesce,
    feature_value,
    field,
    local_hour,
    request,
)
from feature_store.expressions import FieldType

FORMAT = Json({"card": "text", "shop": "text", "spent": "number", "back": "flag", "at": "time"})
payments = Source("payments.v1", format=FORMAT, event_time="at", partitions=2)
refunds = Source("refunds.v1", format=FORMAT, event_time="at", partitions=2, retracts=field("back"))
card, shop = Entity("card"), Entity("shop")
far = field("spent") > 9.0


def added(window: str, tiles: int) -> dict[str, Any]:
    over: dict[str, Any] = {"window": window, "tiles": tiles, "default": -7.0}
    found = {
        "count": Count(where=far, **over),
        "sum": Sum("spent", **over),
        "mean": Mean("spent", **over),
        "std": Std("spent", where=far, **over),
        "share": Share(where=far, **over),
        "median": Quantile("spent", q=0.5, low=1, high=50, accuracy=0.1, **over),
    }
    return found if window == "all" else {**found, "ewma": Ewma("spent", half_life=window, **over)}


def ordered(window: str, tiles: int) -> dict[str, Any]:
    over: dict[str, Any] = {"window": window, "tiles": tiles, "default": -7.0}
    return {
        "min": Min("spent", **over),
        "max": Max("spent", **over),
        "first": First("spent", **over),
        "last": Last("spent", **over),
        "since": TimeSince(where=far, unit="minutes", **over),
        "shops": DistinctCount("shop", precision=6, **over),
    }


def view_of(name: str, source: Source, entity: Entity, *windows: tuple[str, int]) -> type[FeatureView]:
    kinds = [added] if source is refunds else [added, ordered]
    body: dict[str, Any] = {"source": source, "entity": entity}
    for window, tiles in windows:
        for kind in kinds:
            body |= {f"{one}_{window}": made for one, made in kind(window, tiles).items()}
    return type(name, (FeatureView,), body)


CardPayments = view_of("CardPayments", payments, card, ("12m", 3), ("2h", 12), ("all", 1))
ShopPayments = view_of("ShopPayments", payments, shop, ("1h", 4))
CardRefunds = view_of("CardRefunds", refunds, card, ("1h", 12), ("all", 1))
hour = RequestTime("hour", local_hour(request("asked_at"), zone="Europe/Rome"), default=-1.0)
mean_2h = getattr(CardPayments, "mean_2h")  # noqa: B009 - made above, unknown to types
ratio = Derived("ratio", coalesce(feature_value(mean_2h), 1.0) / 3.0, default=-9.0)


def contract() -> Contract:
    """The contract of all of them."""
    features = [
        getattr(view, name)
        for view in (CardPayments, ShopPayments, CardRefunds)
        for name in view.view.aggregations
    ]
    return Contract.over("m", [*features, hour, ratio], {"asked_at": FieldType.TIME})
