"""A project with keys of two parts and a dimension, through every door: one request, the same bits."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import structlog
from drift_detector.domain.references import Reference
from feature.adapters.asking import get_response, question_of, served_of
from feature.answering import Answers
from feature.contracts import Contracts
from feature.domain.errors import InvalidRequest as RefusedQuestion
from feature_store import (
    AsOf,
    Contract,
    EventBatch,
    Incoming,
    Project,
    Requests,
    Status,
    decode_events,
    load_project,
    point_in_time,
)
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows, MemoryRowReader, ReadRows
from feature_store.onnx_graph import METADATA, NotExportable, export_assembly
from inference.adapters.wire import asked_of, route_of
from inference.adapters.wire_predictions import prediction_made
from inference.domain.admission import Admission, Bounds
from inference.domain.batching import Line
from inference.domain.conduct import Patience
from inference.domain.errors import InvalidRequest
from inference.metrics import Metrics
from inference.routes.serving import ServedModel, ServedModels
from inference.routes.table import RouteTable, arms_of
from inference.routes.versions import PackageVersions
from inference.serve.lanes import Intake
from inference.serve.plane import ScoringPlane
from inference_kit.heralds import herald
from model_package import MemoryPackageStore, Package
from monitoring.profiles import ReferenceProfile
from prometheus_client import CollectorRegistry
from tidemark.features.v1 import feature_service_pb2 as pb
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged, VersionRef
from tidemark.scoring.v1.prediction_pb2 import Role
from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest
from tidemark_cli.app import app
from tidemark_cli.features_catalogue import catalogue
from tidemark_cli.features_described import describe_project
from trainer.adapters.memory import SilentSteps
from trainer.fitting import choose_algorithm
from trainer.ports import Provenance
from trainer.steps import Training, train
from training_sets import build
from training_sets.examples import Period
from training_sets.memory import MemoryEvents
from typer.testing import CliRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOUR_US = 3_600_000_000
START_US = 1_357_000_000_000_000
ASKED_S = (START_US + 100 * HOUR_US) // 1_000_000
MODEL = "leg-lateness"
KEYS = {"origin": "JFK", "destination": "LAX", "tail_number": "N1"}


@pytest.fixture(scope="module")
def project() -> Project:
    return load_project("routes_project")


@pytest.fixture(scope="module")
def events(project: Project) -> EventBatch:
    """A leg an hour; every tenth without a destination, and some of an aircraft that nobody knows."""
    generator = np.random.default_rng(5)
    routes = list(product(["JFK", "LGA"], ["LAX", "SFO", "BOS"]))
    values = []
    for number in range(90):
        origin, destination = routes[generator.integers(len(routes))]
        leg = {
            "leg": f"leg-{number}",
            "origin": origin,
            "destination": destination if number % 10 else "",
            "tail_number": f"N{generator.integers(1, 5)}",
            "delay": float(generator.integers(0, 40)),
            "at": f"{np.datetime64(START_US + number * HOUR_US, 'us')}Z",
        }
        values.append(json.dumps(leg).encode())
    times = [START_US + number * HOUR_US for number in range(90)]
    numbers = range(90)
    batch, rejects = decode_events(
        project.sources["legs.flown.v1"],
        Incoming(
            values,
            [f"e{number}" for number in numbers],
            [b""] * 90,
            times,
            times,
            [number % 2 for number in numbers],
            [number // 2 for number in numbers],
        ),
    )
    assert rejects == []
    return batch


@pytest.fixture
async def rows(project: Project, events: EventBatch) -> MemoryFeatureRows:
    stored = MemoryFeatureRows()
    await Applier(project.views.values(), stored, MemoryClaims()).apply(events)
    return stored


@pytest.fixture(scope="module")
def expected(project: Project, events: EventBatch) -> Any:
    """The vector of the request, from the past alone."""
    keys = {name: np.array([key], np.object_) for name, key in KEYS.items()}
    requests = Requests(np.array([ASKED_S * 1_000_000]), keys, {})
    return point_in_time(project.contract(MODEL), {"legs.flown.v1": events}, requests, AsOf())


@pytest.fixture(scope="module")
def store() -> MemoryPackageStore:
    return MemoryPackageStore()


@pytest.fixture(scope="module")
def trained(
    project: Project, events: EventBatch, store: MemoryPackageStore
) -> tuple[Training, MemoryEvents, Package]:
    spec, period = project.models[MODEL], Period(None, ASKED_S * 1_000_000)
    provenance = Provenance("c" * 40, "e" * 64)
    training = Training(project, spec, period, choose_algorithm(spec, None, None), provenance)
    lake = MemoryEvents({"legs.flown.v1": events}, 1)
    return training, lake, train(training, lake, store, SilentSteps()).package


def test_a_request_gives_each_part_under_its_own_name(project: Project) -> None:
    assert project.contract(MODEL).entities == ("origin", "destination", "tail_number")
    assert dict(project.contract(MODEL).inputs) == {}


def test_rows_are_kept_under_the_joined_key(rows: MemoryFeatureRows) -> None:
    def kept(view: str) -> set[str]:
        prefix = f"tm:f:{view}:".encode()
        return {key.decode().rsplit(":", 1)[1] for key in rows.stored if key.startswith(prefix)}

    assert kept("route_legs") == {f"{a}|{b}" for a, b in product(["JFK", "LGA"], ["LAX", "SFO", "BOS"])}
    assert kept("model_legs") == {"A320", "B737"}


def test_a_training_set_has_the_parts_and_a_package_comes_of_it(
    trained: tuple[Training, MemoryEvents, Package],
) -> None:
    training, lake, package = trained
    dataset = build(training.project, training.spec, training.period, lake)
    assert set(dataset.labelled.requests.entities) == {"origin", "destination", "tail_number"}
    statuses = dataset.vectors.statuses
    assert (statuses[:, 1] == Status.PRESENT).any()
    # The keys of the tenth legs lack a part.
    assert (statuses[::10, 1] == Status.MISSING).all()
    assert set(dataset.vectors.values[:, 4].tolist()) == {-1.0, 140.0, 150.0, 162.0}
    assert package.served is None


def test_a_graph_takes_composite_keys_and_entity_keys_but_no_computed_ones(project: Project) -> None:
    contract = project.contract(MODEL)
    with pytest.raises(
        NotExportable, match=r"'model_legs.legs_7d'.*key of entity 'aircraft_model' is computed"
    ):
        export_assembly(contract)
    others = [one for one in contract.features if one.full_name != "model_legs.legs_7d"]
    model = export_assembly(Contract.over("", others, {}))
    told = json.loads({prop.key: prop.value for prop in model.metadata_props}[METADATA])
    assert [view.get("keys") for view in told["views"]] == [None, ["origin", "destination"]]
    assert told["entity_keys"] == ["tail_number"]
    assert "entity.tail_number" in {given.name for given in model.graph.input}


def test_a_drift_reference_is_sliced_by_a_part(trained: tuple[Training, MemoryEvents, Package]) -> None:
    package = trained[2]
    profile = ReferenceProfile.parse(package.reference_profile)
    reference = Reference.of(profile, package.manifest.feature_names, {}, ["destination"])
    assert reference.parts_of(KEYS) == ["destination=LAX"]


async def test_the_feature_service_answers_with_what_the_past_says(
    project: Project, rows: MemoryFeatureRows, expected: Any
) -> None:
    answers, contracts = Answers(MemoryRowReader(rows), lambda _: True), Contracts(project)
    request = pb.GetRequest(model=MODEL, entities=KEYS)
    request.request_time.seconds = ASKED_S
    answer, row = await answers.answer_one(
        served_of(contracts, request), question_of(request, field="", now_us=0)
    )
    got = get_response(answer, row)
    assert np.array([one.value for one in got.features], np.float32).tobytes() == expected.values.tobytes()
    assert [one.status for one in got.features] == expected.statuses[0].tolist() == [Status.PRESENT] * 5
    del request.entities["destination"]
    with pytest.raises(RefusedQuestion, match=r"entities\[destination\]: is missing"):
        await answers.answer_one(served_of(contracts, request), question_of(request, field="", now_us=0))


class _Rows:
    """Rows that are there at once."""

    def __init__(self, rows: MemoryFeatureRows) -> None:
        self._stored = rows.stored

    def request(self, keys: Sequence[bytes], on_rows: Callable[[ReadRows], None]) -> None:
        on_rows(ReadRows([self._stored.get(key) for key in keys], readable=True))


class _Unlogged:
    """A prediction log that keeps nothing."""

    def offer(self, scored: Any) -> None:
        del scored

    async def write(self, scored: Any) -> None:
        del scored


async def _plane(
    project: Project, rows: MemoryFeatureRows, package: Package, store: MemoryPackageStore
) -> ScoringPlane:
    models, metrics, log = ServedModels(project), Metrics(CollectorRegistry()), structlog.get_logger()
    routes: RouteTable[ServedModel] = RouteTable(
        versions=PackageVersions(store, models.contract_hash),
        needs=arms_of,
        build=models.build,
        herald=herald(),
        metrics=metrics,
        log=log,
    )
    version = VersionRef(version=package.version, digest=package.digest, package_uri=package.uri)
    champion = Arm(variant="champion", role=Role.ROLE_CHAMPION, version=version, weight_basis_points=10_000)
    route = RouteChanged(model=MODEL, revision=1, salt="s", arms=[champion])
    await routes.apply(route_of(route.SerializeToString()))
    routes.complete()
    return ScoringPlane(
        routes=routes,
        rows=_Rows(rows),
        predictions=_Unlogged(),
        intake=Intake(Line(limit=10, batch=10), Admission(Bounds()), Patience()),
        metrics=metrics,
        now_s=lambda: 0.0,
        log=log,
    )


async def test_a_score_and_its_event_are_of_the_same_vector(
    project: Project, rows: MemoryFeatureRows, expected: Any, trained: Any, store: MemoryPackageStore
) -> None:
    plane = await _plane(project, rows, trained[2], store)
    request = ScoreRequest(model=MODEL, entities=KEYS, prediction_id="p")
    request.request_time.seconds = ASKED_S
    scored = await plane.score(asked_of(request, now_us=ASKED_S * 1_000_000, new_id=lambda: "p"), None)
    assert scored.vectors.values[scored.row].tobytes() == expected.values.tobytes()
    assert dict(prediction_made(scored).entities) == KEYS
    del request.entities["tail_number"]
    with pytest.raises(InvalidRequest, match=r"entities\[tail_number\]: is missing"):
        await plane.score(asked_of(request, now_us=ASKED_S * 1_000_000, new_id=lambda: "p"), None)


def test_the_catalogue_and_the_description_show_the_parts(project: Project) -> None:
    described = describe_project(project)
    route = described["views"]["route_legs"]
    assert (route["entity"], route["key"], route["asked_for"]) == (
        "route",
        ["origin", "destination"],
        ["origin", "destination"],
    )
    assert route["row"]["key"].endswith(":<origin>|<destination>")
    assert described["requests"]["seats"]["inputs"] == ["tail_number"]
    assert described["dimensions"]["planes"]["rows"] == 4
    told = CliRunner().invoke(
        app, ["features", "describe", "planes", "--json", "--project", "routes_project"]
    )
    assert json.loads(told.output)["attributes"]["seats"]["type"] == "number"
    page = catalogue(project, "Routes")
    assert "| route (origin, destination) |" in page
    assert "4 rows by `tail_number`, each valid from `since` on." in page
