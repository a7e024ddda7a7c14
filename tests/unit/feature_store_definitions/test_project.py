"""A project is a package or a module; whatever is wrong with it is named with file and line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import feature_store
import pytest
from feature_store import DefinitionError, load_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FEATURES = """
from datetime import timedelta
from feature_store import *

fields = {"order": "text", "user": "text", "price": "number", "at": "time"}
orders = Source("orders.v1", format=Json(fields), event_time="at")
user = Entity("user")

class UserOrders(FeatureView):
    source = orders
    entity = user
    spent_1h = Sum("price", window="1h")

asked_hour = RequestTime("asked_hour", local_hour(request("asked_at"), zone="UTC"))
"""
MODEL = """
from shop.features import *
from shop.labels import dear

def train_mean(features, labels, seed):
    return labels.mean()

dear_model = ModelSpec(
    "dear-orders", features=[UserOrders.spent_1h, asked_hour], label=dear, train=train_mean,
    examples=TrainingExamples(orders, field("at"), entities={"user": "user"}, context={"asked_at": "at"}),
)
"""
LABELS = """
from shop.features import *

dear = Label("dear", source=orders, request_key="order", value=field("price") > 10)
"""
VIEW = """class {name}(FeatureView):
    source = orders
    entity = user
    kept = {aggregation}
"""
SHOP = {"__init__.py": "", "features.py": FEATURES, "labels.py": LABELS, "model.py": MODEL}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Give a function that writes the package `shop`, with files changed, where it can be imported."""
    # Another file of tests may have left a project of the same name in this process.
    for name in [name for name in sys.modules if name.split(".")[0] in {"shop", "single"}]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)

    def shop(**changed: str) -> Path:
        files = {**SHOP, **{f"{name}.py": text for name, text in changed.items()}}
        for name, text in files.items():
            (tmp_path / "shop").mkdir(exist_ok=True)
            (tmp_path / "shop" / name).write_text(text)
        return tmp_path / "shop"

    yield shop
    for name in [name for name in sys.modules if name.split(".")[0] in {"shop", "single"}]:
        del sys.modules[name]


def test_a_package_is_collected_from_its_known_modules(write: Callable[..., Path]) -> None:
    write(publisher="raise RuntimeError('no part of the definitions')")
    project = load_project("shop")
    assert list(project.sources) == ["orders.v1"]
    assert list(project.entities) == ["user"]
    assert list(project.views) == ["user_orders"]
    assert list(project.requests) == ["asked_hour"]
    assert list(project.labels) == ["dear"]
    assert list(project.models) == ["dear-orders"]
    assert project.contract("dear-orders").feature_names == ("user_orders.spent_1h", "asked_hour")


def test_a_project_may_be_one_module(tmp_path: Path, write: Callable[..., Path]) -> None:
    write()
    imports = ("from shop.features import *", "from shop.labels import dear")
    one = "".join(
        line for line in (FEATURES + LABELS + MODEL).splitlines(keepends=True) if line.strip() not in imports
    )
    (tmp_path / "single.py").write_text(one)
    assert (
        load_project("single").contract("dear-orders").hash
        == load_project("shop").contract("dear-orders").hash
    )


def test_what_belongs_to_a_source_is_found_by_it(write: Callable[..., Path]) -> None:
    write()
    project = load_project("shop")
    source = project.sources["orders.v1"]
    assert [view.name for view in project.views_of(source)] == ["user_orders"]
    assert [label.name for label in project.labels_of(source)] == ["dear"]


def test_an_unknown_model_is_named_with_the_nearest_known(write: Callable[..., Path]) -> None:
    write()
    with pytest.raises(KeyError, match=r"shop has no model 'dear-order'. Did you mean 'dear-orders'\?"):
        load_project("shop").contract("dear-order")


BAD_LABELS: dict[str, tuple[str, int, str]] = {
    "syntax": (
        "from shop.features import *\ndear = (",
        2,
        "project shop: it is no valid Python: '(' was never closed",
    ),
    "no such module": (
        "import shop.nothing",
        1,
        "project shop: importing it raised ModuleNotFoundError: No module named 'shop.nothing'",
    ),
    "no such name": (
        "\n\nfrom shop.features import oders",
        3,
        "project shop: importing it raised ImportError: cannot import name 'oders' from 'shop.features'",
    ),
    "error in the code": (
        "def f():\n    return 1 / 0\nf()",
        2,
        "project shop: importing it raised ZeroDivisionError: division by zero",
    ),
    "error below the code": (
        "import numpy as np\n\nnp.linalg.inv(np.zeros((2, 2)))",
        3,
        "project shop: importing it raised LinAlgError: Singular matrix",
    ),
    "unknown field": (
        LABELS + "tell = Label('tell', source=orders,\n    request_key='order', value=field('prize') > 1)",
        5,
        "Label('tell'): field('prize') is not in source orders.v1. Did you mean 'price'?",
    ),
    "text in a mean": (
        LABELS + VIEW.format(name="Bad", aggregation="Mean('user', window='1h')"),
        8,
        "Bad.kept: it aggregates a text.",
    ),
    "view twice": (
        LABELS + VIEW.format(name="UserOrders", aggregation="Count(window='1h')"),
        5,
        "View 'user_orders': its name is taken by the one at {folder}/features.py:9. Give it another",
    ),
    "label twice": (
        LABELS + "dearer = Label('dear', source=orders, request_key='order', value=field('price') > 20)",
        5,
        "Label 'dear': its name is taken by the one at {folder}/labels.py:4.",
    ),
    "topic twice": (
        LABELS + "other = Source('orders.v1', format=Json({'x': 'text'}), event_time=None)",
        5,
        "Source 'orders.v1': its topic is taken by the one at {folder}/features.py:6.",
    ),
    "request feature twice": (
        LABELS + "hour = RequestTime('asked_hour', request('asked_at') > request('asked_at'))",
        5,
        "RequestTime 'asked_hour': its name is taken by the one at {folder}/features.py:14.",
    ),
    "entity twice": (
        LABELS + "user_again = Entity('user')",
        5,
        "Entity 'user': its name is taken by the one at {folder}/features.py:7.",
    ),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_what_is_wrong_is_named_with_file_and_line(write: Callable[..., Path], case: str) -> None:
    text, line, message = BAD_LABELS[case]
    folder = write(labels=text)
    with pytest.raises(DefinitionError) as caught:
        load_project("shop")
    assert str(caught.value).startswith(f"{folder}/labels.py:{line}: {message.format(folder=folder)}")


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("no_such_project", "project no_such_project: there is no module 'no_such_project'. Put the folder"),
        ("no_such.project", "project no_such.project: there is no module 'no_such'. Put the folder"),
        ("shop.project", "project shop.project: there is no module 'shop.project'. Put the folder"),
        ("", "project '': it has no name. Name a module, such as examples.flights."),
    ],
)
def test_a_module_that_does_not_exist_is_named(write: Callable[..., Path], module: str, told: str) -> None:
    write()
    with pytest.raises(DefinitionError) as caught:
        load_project(module)
    assert str(caught.value).startswith(told)


def test_a_project_without_definitions_is_refused(write: Callable[..., Path]) -> None:
    write(features="", labels="", model="")
    with pytest.raises(
        DefinitionError, match=r"project shop: it declares no source.*features, labels, model"
    ):
        load_project("shop")


def test_the_readmes_project_loads(tmp_path: Path, write: Callable[..., Path]) -> None:
    write()
    readme = (Path(feature_store.__file__).parents[2] / "README.md").read_text()
    (tmp_path / "single.py").write_text(readme.split("```python\n")[1].split("```")[0])
    assert load_project("single").contract("order-lateness").feature_names[-1] == "hour"
