"""A contract's hash changes with whatever changes a value, and with nothing else, in every process."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from feature_store import (
    Check,
    Contract,
    Count,
    Entity,
    FeatureView,
    FieldType,
    Json,
    Label,
    Mean,
    ModelSpec,
    RequestTime,
    Share,
    Source,
    TrainingExamples,
    field,
    local_hour,
    request,
)

PINNED = "4c852d731fea1473c5a9d05b238860faba28262e7577931237bea6a36c02ca3b"


def contract(**changed: Any) -> Contract:
    """A small contract, with one thing changed."""
    fields = {
        "order": "text",
        "user": "text",
        "city": "text",
        "price": "number",
        "at": "time",
        "made_at": "time",
    }
    given: dict[str, Any] = {
        "topic": "orders.v1",
        "event_time": "at",
        "checks": (),
        "entity": "user",
        "key": "user",
        "ttl": timedelta(days=2),
        "view": "UserOrders",
        "feature": "mean_price",
        "mean": Mean("price", window="1h"),
        "share": Share(where=field("price") > 10, window="3h"),
        "other": Count(window="24h"),
        "hour": local_hour(request("asked_at"), zone="UTC"),
        "hour_default": 0.0,
        "order": (0, 1, 2),
        "input": "at",
        "model": "will-pay",
        "threshold": 0.5,
        **changed,
    }
    source = Source(
        given["topic"], format=Json(fields), event_time=given["event_time"], checks=given["checks"]
    )
    body = {
        "source": source,
        "entity": Entity(given["entity"]),
        "key": given["key"],
        "ttl": given["ttl"],
        given["feature"]: given["mean"],
        "share": given["share"],
        "unused": given["other"],
    }
    view = type(given["view"], (FeatureView,), body)
    features = [
        getattr(view, given["feature"]),
        view.share,  # type: ignore[attr-defined]
        RequestTime("hour", given["hour"], default=given["hour_default"]),
    ]
    spec = ModelSpec(
        given["model"],
        features=[features[index] for index in given["order"]],
        label=Label("dear", source=source, request_key="order", value=field("price") > 5),
        examples=TrainingExamples(
            source,
            field("at"),
            entities={given["entity"]: "user"},
            context={"asked_at": given["input"], "city": "city"},
        ),
        train=lambda features, labels, seed: (features, labels, seed),
        decision_threshold=given["threshold"],
    )
    return Contract.of(spec)


def test_the_hash_is_the_same_everywhere_and_always() -> None:
    # A change here invalidates every package ever trained: it needs a new `version` in the canonical form.
    assert contract().hash.hex() == PINNED


def test_the_hash_is_the_same_in_another_process() -> None:
    program = (
        "from feature_store import load_project;"
        "print(load_project('examples.flights').contract('flight-delay').hash.hex())"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"topic": "orders.v2"},
        {"event_time": "made_at"},
        {"entity": "buyer"},
        {"key": "city"},
        {"ttl": timedelta(days=3)},
        {"view": "BuyerOrders"},
        {"feature": "mean_cost"},
        {"mean": Mean("price", window="2h")},
        {"mean": Mean("price", window="1h", tiles=6)},
        {"mean": Mean("price", window="1h", default=1.0)},
        {"mean": Mean("price", window="1h", where=field("price") > 0)},
        {"mean": Mean(field("price") * 2, window="1h")},
        {"share": Share(where=field("price") > 11, window="3h")},
        {"share": Share(where=field("price") > 10, among=~field("price").is_null(), window="3h")},
        {"hour": local_hour(request("asked_at"), zone="Europe/Rome")},
        {"hour_default": 1.0},
        {"order": (1, 0, 2)},
        {"order": (0, 1)},
    ],
    ids=lambda changed: " ".join(f"{name}={value}" for name, value in changed.items())[:60],
)
def test_whatever_changes_a_value_changes_the_hash(changed: dict[str, Any]) -> None:
    assert contract(**changed).hash != contract().hash


@pytest.mark.parametrize(
    "changed",
    [
        {"model": "pays-ever"},
        {"threshold": 0.1},
        {"other": Count(window="7d")},
        {"checks": [Check.required("user")]},
        {"mean": Mean("price", window=timedelta(hours=1), default=0)},
        {"input": "made_at"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_changes_no_value_leaves_the_hash(changed: dict[str, Any]) -> None:
    assert contract(**changed).hash == contract().hash


def test_a_contract_says_what_a_vector_and_a_request_hold() -> None:
    made = contract(hour_default=-1.0)
    assert made.model == "will-pay"
    assert made.feature_names == ("user_orders.mean_price", "user_orders.share", "hour")
    assert [view.name for view in made.views] == ["user_orders"]
    assert made.entities == ("user",)
    assert made.inputs == {"asked_at": FieldType.TIME}
    np.testing.assert_array_equal(made.defaults, np.array([0.0, 0.0, -1.0], dtype=np.float32), strict=True)


def test_a_contracts_defaults_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        contract().defaults[0] = 1.0
