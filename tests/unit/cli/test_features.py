"""`tidemark features`, as far as it needs nothing that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from feature_store import load_project
from tidemark_cli.app import app
from tidemark_cli.features_catalogue import catalogue, duration
from tidemark_cli.features_described import compare, describe_project
from typer.testing import CliRunner

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]
SHOP = """
from feature_store import (
    Count, Entity, FeatureView, Json, Label, Mean, ModelSpec, Source, TrainingExamples, field
)

orders = Source(
    "orders", format=Json({{"id": "text", "who": "text", "price": "{price}", "at": "time"}}), event_time="at",
    owner="sales", sensitivity="personal",
)

customer = Entity("customer")


class WhoOrders(FeatureView):
    \"\"\"What somebody bought.\"\"\"

    source, entity, key = orders, customer, "who"
    orders_24h = Count(window="{window}")
    price_7d = Mean("price", window="7d", tiles=14)


class Daily(FeatureView):
    source, entity, key = orders, customer, "who"
    owner = "{owner}"
    orders_24h = Count(window="24h")


late = Label("late", source=orders, request_key="id", value=~field("price").is_null())
lateness = ModelSpec(
    "lateness",
    features=[WhoOrders.orders_24h],
    label=late,
    examples=TrainingExamples(source=orders, time=field("at"), entities={{"customer": "who"}}, context={{}}),
    train=lambda features, labels, seed: None,
)
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("TIDEMARK_PROJECT", raising=False)

    def invoke(*arguments: str, project: str = "examples.flights") -> Any:
        return CliRunner().invoke(app, ["features", *arguments, "--project", project])

    return invoke


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Describes the shop as it would be with other definitions, each in a module of its own."""
    versions = iter(range(100))

    def described(window: str = "24h", owner: str = "anna", price: str = "number") -> dict[str, Any]:
        name = f"shop_{tmp_path.name.replace('-', '_')}_{next(versions)}"
        (tmp_path / f"{name}.py").write_text(SHOP.format(window=window, owner=owner, price=price))
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(tmp_path))
            return describe_project(load_project(name))

    return described


def test_the_catalogue_of_the_example_is_current() -> None:
    page = catalogue(load_project("examples.flights"), "Features of the flights example")
    assert (ROOT / "examples/flights/FEATURES.md").read_text() == page, (
        "write it again: tidemark features catalogue --project examples.flights "
        '--out examples/flights/FEATURES.md --title "Features of the flights example"'
    )


def test_list_and_plan_name_every_feature_and_what_a_row_takes(run: Callable[..., Any]) -> None:
    listed = run("list").output
    project = load_project("examples.flights")
    for view in project.views.values():
        assert all(f"{view.name}.{name}" in listed for name in view.aggregations)
    planned = json.loads(run("plan", "--json").output)
    row = planned["origin_departures"]
    assert row["bytes"] == 8 * (row["header_words"] + row["tile_words"]) == 936


def test_a_name_that_is_none_is_led_to_the_right_one(run: Callable[..., Any]) -> None:
    assert json.loads(run("describe", "origin_weather.humidity_percent", "--json").output)["default"] == 62.0
    assert json.loads(run("describe", "origin_weather", "--json").output)["entity"] == "origin"
    assert json.loads(run("describe", "scheduled_hour", "--json").output)["inputs"] == ["scheduled_at"]
    refused = run("describe", "origin_wether")
    assert refused.exit_code == 1
    assert "Did you mean 'origin_weather'?" in refused.output


def test_a_project_does_not_differ_from_its_own_export(run: Callable[..., Any], tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(run("export").output)
    same = run("diff", str(plan), "--fail-on-breaking")
    assert (same.exit_code, "Nothing differs." in same.output) == (0, True)
    assert run("diff", str(ROOT), "--fail-on-breaking").exit_code == 0


def test_a_changed_feature_breaks_its_models_and_needs_rows(shop: Callable[..., dict[str, Any]]) -> None:
    found = compare(shop(), shop(window="12h"))
    assert found["breaking"] is True
    assert found["models"] == {"lateness": "changed"}
    assert found["views"]["who_orders"]["features"] == {"orders_24h": "changed"}
    assert found["views"]["who_orders"]["backfill"] is True
    assert list(found["views"]) == ["who_orders"]


def test_a_field_of_another_type_is_another_definition(shop: Callable[..., dict[str, Any]]) -> None:
    found = compare(shop(), shop(price="flag"))
    assert found["views"]["who_orders"]["features"] == {"price_7d": "changed"}
    assert (found["views"]["who_orders"]["backfill"], list(found["views"])) == (True, ["who_orders"])
    # Its model reads another feature of the view: its vectors mean what they did.
    assert (found["models"], found["breaking"]) == ({}, False)


def test_who_owns_a_view_changes_nothing_that_is_served(shop: Callable[..., dict[str, Any]]) -> None:
    ours, theirs = shop(), shop(owner="bert")
    assert compare(ours, theirs) == {"views": {}, "requests": {}, "models": {}, "breaking": False}
    assert (theirs["views"]["daily"]["owner"], theirs["views"]["who_orders"]["owner"]) == ("bert", "sales")
    assert theirs["views"]["daily"]["sensitivity"] == "personal"
    assert theirs["views"]["who_orders"]["meaning"] == "What somebody bought."


def test_views_that_come_and_go_break_no_model_that_stays(shop: Callable[..., dict[str, Any]]) -> None:
    ours = shop()
    less = {**ours, "views": {name: one for name, one in ours["views"].items() if name != "daily"}}
    assert compare(less, ours)["views"]["daily"]["change"] == "added"
    gone = compare(ours, less)["views"]["daily"]
    assert (gone["change"], gone["backfill"], gone["bytes"]["to"]) == ("removed", False, 0)
    assert compare(ours, less)["breaking"] is False
    assert compare(ours, {**ours, "models": {}})["breaking"] is True


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"views": {}}', '{"views": 1, "requests": {}, "models": {}}']
)
def test_a_file_that_is_no_export_is_refused(run: Callable[..., Any], tmp_path: Path, content: str) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text(content)
    refused = run("diff", str(broken))
    assert refused.exit_code == 1
    assert "is no export of definitions" in refused.output
    assert run("diff", str(tmp_path / "none.json")).exit_code == 1


@pytest.mark.parametrize(
    ("us", "told"),
    [(3_600_000_000, "1h"), (86_400_000_000, "24h"), (604_800_000_000, "7d"), (90_000_000, "90s")],
)
def test_lengths_of_time_are_told_as_they_are_written(us: int, told: str) -> None:
    assert duration(us) == told


def test_what_a_data_plane_is_given_is_written_to_a_folder(run: Callable[..., Any], tmp_path: Path) -> None:
    done = run("compile", "--out", str(tmp_path / "contract"))
    assert done.exit_code == 0, done.output
    contract = json.loads((tmp_path / "contract" / "contract.json").read_text())
    model = contract["models"]["flight-delay"]
    assert model["contract_hash"] == load_project("examples.flights").contract("flight-delay").hash.hex()
    assert (tmp_path / "contract" / model["assembly"]["file"]).stat().st_size > 10_000
    assert contract["sensitive"] is None
