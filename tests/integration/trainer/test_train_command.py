"""`python -m trainer` as its users start it: a lake of the archiver's, packages on disk, Kafka."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from archiver.adapters.delta import DeltaLake
from archiver.adapters.sources import SourceKeeper
from archiver.domain.tables import LakeTable
from bus.follow import Follower
from bus.kafka.tail import KafkaTail
from bus.received import Received
from bus.topics import MODELS_REGISTERED
from model_package import PackageStore, Scorer
from tidemark.registry.v1.model_pb2 import ModelRegistered

PROJECT_FOLDER = Path(__file__).parents[2] / "unit" / "trainer"
UNTIL = "2013-01-05T00:00:00Z"
NOWHERE = "localhost:1"


@dataclass(frozen=True)
class Answer:
    status: int
    result: dict[str, Any]
    told: str


Run = Callable[..., Awaitable[Answer]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    async def start(*arguments: str, kafka: str = NOWHERE, **environment: str) -> Answer:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trainer",
            *arguments,
            env={
                "PYTHONPATH": str(PROJECT_FOLDER),
                "TIDEMARK_PROJECT": "shop_project",
                "TIDEMARK_CODE_COMMIT": "c0ffee",
                "KAFKA_BOOTSTRAP_SERVERS": kafka,
                "LAKE_URI": str(tmp_path / "lake"),
                "PACKAGES_URI": str(tmp_path / "packages"),
                **environment,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return Answer(process.returncode, json.loads(out) if out else {}, err.decode())

    return start


GATES = ["golden-rows", "package-contract", "latency", "champion-metric"]


def without_latency(result: dict[str, Any]) -> dict[str, Any]:
    """The only figure that the machine decides."""
    return result | {"gates": [gate for gate in result["gates"] if gate["gate"] != "latency"]}


def train(*more: str) -> tuple[str, ...]:
    return ("train", "shop-purchase", "--until", UNTIL, *more)


@pytest.mark.stack
async def test_a_version_is_packaged_and_registered_and_the_same_again(
    shop: Any, archive: Callable[..., None], run: Run, kafka_bootstrap: str, tmp_path: Path
) -> None:
    archive(shop.world(300))
    first = await run(*train("--json"), kafka=kafka_bootstrap, PYTHONHASHSEED="1")
    again = await run(*train("--json"), kafka=kafka_bootstrap, PYTHONHASHSEED="2", OMP_NUM_THREADS="2")
    assert (first.status, again.status) == (0, 0), first.told + again.told
    assert without_latency(first.result) == without_latency(again.result)
    package = PackageStore(tmp_path / "packages").open(first.result["package_uri"], first.result["digest"])
    Scorer(package).warm()
    assert package.version == first.result["version"]
    registered = [one for one in await registrations(kafka_bootstrap) if one.event.id == package.digest]
    assert len(registered) == 2
    one, other = (ModelRegistered.FromString(found.event.data) for found in registered)
    assert [gate.gate for gate in one.gates if gate.passed] == GATES
    assert one.registered_by
    for message in (one, other):
        del message.gates[:]
    assert one == other
    assert ModelRegistered.FromString(registered[0].event.data).package_uri == package.uri


async def registrations(kafka: str) -> list[Received]:
    found: list[Received] = []

    async def take(one: Received) -> None:
        found.append(one)

    follower = Follower(KafkaTail(kafka, MODELS_REGISTERED.name, client_id="test"), take)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follower.run(stop))
        await follower.read_once()
        stop.set()
    return found


async def test_what_became_known_after_the_cut_changes_only_the_tables_versions(
    shop: Any, archive: Callable[..., None], run: Run
) -> None:
    facts = shop.world(600)
    archive({topic: told[:450] for topic, told in facts.items()})
    first = await run("snapshot", "shop-purchase", "--until", UNTIL)
    archive({topic: told[450:] for topic, told in facts.items()})
    later = await run("snapshot", "shop-purchase", "--until", UNTIL)
    assert first.result["rows"] == later.result["rows"] > 300
    tables = [answer.result["dataset"]["sources"][shop.visits.topic] for answer in (first, later)]
    assert tables[0].pop("version") < tables[1].pop("version")
    assert tables[0] == tables[1]
    assert first.result["dataset"]["rows"] == later.result["dataset"]["rows"]
    assert first.result["dataset_snapshot"] != later.result["dataset_snapshot"]


async def test_when_kafka_is_away_the_version_is_packaged_and_can_be_registered_later(
    shop: Any, archive: Callable[..., None], run: Run, tmp_path: Path
) -> None:
    archive(shop.world(300))
    answer = await run(*train())
    assert answer.status == 3
    assert "packaged, but not registered" in answer.told
    assert len(list((tmp_path / "packages").glob("[0-9a-f]*"))) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("train", "shop", "--until", UNTIL), "UnknownModel: project shop_project has no model 'shop'"),
        (train("--algorithm", "forest"), "it has trees, logistic"),
        (train(), "EmptyLake: the lake has no table"),
        (("train", "shop-purchase", "--until", "soon"), "no ISO 8601 time"),
    ],
    ids=["model", "algorithm", "lake", "time"],
)
async def test_what_cannot_be_done_is_told_in_a_line(run: Run, arguments: tuple[str, ...], told: str) -> None:
    answer = await run(*arguments)
    assert answer.status == 2
    assert told in answer.told
    assert "Traceback" not in answer.told
    assert answer.result == {}


async def test_a_project_with_an_error_is_told_with_its_place(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken_project.py").write_text(
        "from feature_store import Source\nSource('a b', None, None)\n"
    )
    answer = await run(*train(), TIDEMARK_PROJECT="broken_project", PYTHONPATH=str(tmp_path))
    assert answer.status == 2
    assert f"DefinitionError: {tmp_path / 'broken_project.py'}:2" in answer.told


async def test_a_table_that_the_archiver_did_not_make_is_named(run: Run, shop: Any, tmp_path: Path) -> None:
    lake = DeltaLake(str(tmp_path / "lake"))
    for source in (shop.purchases, shop.visits):
        keeper = SourceKeeper(source)
        old = keeper.table.schema.remove(keeper.table.schema.get_field_index("_recorded_time"))
        lake.prepare(LakeTable(keeper.table.path, keeper.table.topic, pa.schema(old)))
    answer = await run(*train())
    assert answer.status == 2
    assert "MissingColumn: lake table" in answer.told
    assert "has no column _recorded_time" in answer.told


async def test_a_damaged_table_is_named(
    run: Run, shop: Any, archive: Callable[..., None], tmp_path: Path
) -> None:
    archive(shop.world(10))
    (file,) = (tmp_path / "lake" / "sources" / shop.visits.topic).glob("_event_month=*/*.parquet")
    file.write_bytes(file.read_bytes()[:100])
    answer = await run(*train())
    assert answer.status == 2
    assert f"UnreadableTable: lake table {tmp_path / 'lake'}/sources/shop.visits.v1" in answer.told


async def test_a_cut_before_the_first_event_is_told(
    run: Run, shop: Any, archive: Callable[..., None]
) -> None:
    archive(shop.world(10))
    answer = await run("train", "shop-purchase", "--until", "2012-01-01")
    assert answer.status == 2
    assert "holds no event recorded by --until" in answer.told
