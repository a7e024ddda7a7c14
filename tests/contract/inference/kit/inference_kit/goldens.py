"""The golden files: what they hold, and how they are read. `golden/make.py` writes them."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bus.events import to_headers
from google.protobuf.json_format import Parse
from tidemark.registry.v1.route_pb2 import RouteChanged
from tidemark.scoring.v1.prediction_pb2 import PredictionMade
from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest, ScoreResponse

from inference_kit.planes import DataPlane, follow

GOLDEN = Path(__file__).parents[2] / "golden"
CONTRACT = GOLDEN / "contract"
PROJECT = "market"


@dataclass(frozen=True)
class Answer:
    """One request, and what must become of it.

    Attributes:
        name: What it is about.
        record: The envelope of its event: key, headers.
        vector: The little-endian float32, in hex.
    """

    name: str
    request: ScoreRequest
    metadata: Mapping[str, str]
    response: ScoreResponse
    record: Mapping[str, Any]
    made: PredictionMade
    vector: str


def rows(folder: Path = GOLDEN) -> dict[str, bytes]:
    """Every row there is, by key."""
    return {one["key"]: bytes.fromhex(one["row"]) for one in _read("rows.json", folder)}


def routes(folder: Path = GOLDEN) -> list[RouteChanged]:
    """A route for each model, without where its packages are."""
    return [Parse(json.dumps(one), RouteChanged()) for one in _read("routes.json", folder)]


def answers() -> Iterator[Answer]:
    """Every request with its answer and its event."""
    for one in _read("answers.json"):
        yield Answer(
            one["name"],
            Parse(json.dumps(one["request"]), ScoreRequest()),
            one["metadata"],
            Parse(json.dumps(one["response"]), ScoreResponse()),
            one["record"],
            Parse(json.dumps(one["event"]), PredictionMade()),
            one["vector"],
        )


def points() -> list[dict[str, Any]]:
    """Salts, keys, heads, points and the arm among some weights."""
    found: list[dict[str, Any]] = _read("assignment.json")
    return found


async def serve(plane: DataPlane, folder: Path = GOLDEN) -> None:
    """Give a plane of the project `PROJECT` the golden rows, packages and routes."""
    shutil.copytree(folder / "packages", plane.stock.packages, dirs_exist_ok=True)
    await plane.put_rows(rows(folder))
    for route in routes(folder):
        for arm in [*route.arms, *(arm for segment in route.segments for arm in segment.arms)]:
            arm.version.package_uri = (plane.stock.packages / arm.version.digest).as_uri()
        await follow(plane, route)


async def recorded(plane: DataPlane) -> dict[str, tuple[dict[str, Any], PredictionMade]]:
    """Each prediction's record and event, by id, without what no file can know."""
    found = {}
    for event in await plane.predictions():
        made = PredictionMade.FromString(event.data)
        assert made.latency_us > 0
        made.ClearField("latency_us")
        headers = {name: value.decode() for name, value in to_headers(event)}
        found[event.id] = {"key": event.key.decode(), "headers": headers}, made
    return found


def _read(name: str, folder: Path = GOLDEN) -> Any:
    return json.loads((folder / name).read_text())
