"""Writes the golden files beside it: `python tests/contract/inference/golden/make.py [FOLDER]`.

Rows are what our own writer makes of made-up sales, and some of them damaged; answers are what the Python
plane gave. They are committed, so that a change of them is seen, and a plane in another language is put to
what was agreed and not to what this code does today.
"""

import asyncio
import json
import struct
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))

import numpy as np
from bus.times import format_rfc3339
from feature_store import Incoming, Project, decode_events, load_project
from feature_store.online import Applier, MemoryClaims, MemoryFeatureRows
from feature_store.onnx_graph import compile_project
from feature_store.rows import row_key
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from inference_kit.asking import score
from inference_kit.goldens import PROJECT, recorded, serve
from inference_kit.memory import memory_plane
from inference_kit.plain import arm_of, point
from model_package import PackageStore
from model_package.testing import facts, write_logistic_package
from tidemark.common.v1.value_pb2 import Value
from tidemark.registry.v1.route_pb2 import (
    AnyOf,
    Arm,
    Condition,
    NumberRange,
    RouteChanged,
    Segment,
    VersionRef,
)
from tidemark.scoring.v1.prediction_pb2 import Role
from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest

NOW_US = 1_365_000_000_000_000  # 2013-04-03T14:40:00Z
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
STALLS = ("plain", "Käse|Brot", "back\\slash", "quiet")
TOWNS = ("Roma", "a|b", "Ågård\\")


async def make(folder: Path) -> None:
    """Write every golden file into a folder."""
    project = load_project(PROJECT)
    for name, content in compile_project(project).items():
        _write(folder / "contract" / name, content)
    rows = await _rows(project)
    _write_json(folder / "rows.json", [{"key": key, "row": row.hex()} for key, row in sorted(rows.items())])
    _write_json(folder / "routes.json", _routes(project, folder / "packages"))
    _write_json(folder / "assignment.json", list(_assignments()))
    _write_json(folder / "answers.json", await _answers(folder))


async def _rows(project: Project) -> dict[str, bytes]:
    kept = MemoryFeatureRows()
    batch, rejects = decode_events(project.sources["market.sold.v1"], _sales())
    assert not rejects, rejects
    await Applier(project.views.values(), kept, MemoryClaims()).apply(batch)
    rows = {key.decode(): row for key, row in kept.stored.items()}
    return rows | dict(_odd_rows(project, rows))


def _sales() -> Incoming:
    """Three days of sales in no order, some late, with prices that are hard to add up."""
    draw = np.random.default_rng(20_130_403)
    count = 400
    at_us = NOW_US - draw.integers(0, 3 * DAY_US, count) ** 2 // (3 * DAY_US)
    sales = [
        {
            "sale": f"sale-{number}",
            "stall": STALLS[draw.integers(3)],
            "town": TOWNS[draw.integers(3)],
            "buyer": f"buyer {draw.integers(90)}",
            "price": None if draw.random() < 0.05 else float(draw.choice([0.1, 1e-7, -3.3, 12.49, 999.99])),
            "cash": bool(draw.random() < 0.5),
            "sold_at": format_rfc3339(int(at_us[number])),
            "kept": True,
        }
        for number in range(count)
    ]
    old = {**sales[0], "sale": "old", "stall": "quiet", "sold_at": format_rfc3339(NOW_US - 2 * DAY_US)}
    sales.append(old)
    return Incoming(
        values=[json.dumps(sale).encode() for sale in sales],
        ids=[str(sale["sale"]) for sale in sales],
        keys=[b""] * len(sales),
        event_time_us=[NOW_US] * len(sales),
        recorded_time_us=[NOW_US + number for number in range(len(sales))],
        partitions=[number % 3 for number in range(len(sales))],
        offsets=[number // 3 for number in range(len(sales))],
    )


def _odd_rows(project: Project, rows: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """The first stall's row of each view of stalls, spoiled in one way each under a key that says how."""
    for name in ("stall_sales", "stall_habits"):
        digest = project.views[name].digest
        row = rows[row_key(name, digest, "plain").decode()]
        (partitions,) = struct.unpack_from("<I", row, 4)
        end = 40 + 8 * partitions
        after_fourth = struct.pack("<qq", -1, 7)
        odd = {
            "no bytes": b"",
            "another magic": b"XX" + row[2:],
            "another format": row[:2] + b"\x02\x00" + row[4:],
            "another definition": row[:8] + bytes(8) + row[16:],
            "a word short": row[:-8],
            "a word long": row + bytes(8),
            "half a word long": row + bytes(4),
            "a wrong number of partitions": row[:4] + struct.pack("<I", partitions + 1) + row[8:],
            "without events": row[:32] + struct.pack("<q", -(2**62)) + row[40:],
            "of two partitions": row[:4] + struct.pack("<I", 2) + row[8:56] + row[end:],
            "of four partitions": row[:4] + struct.pack("<I", 4) + row[8:end] + b"\xff" * 8 + row[end:],
            "of five partitions": row[:4] + struct.pack("<I", 5) + row[8:end] + after_fourth + row[end:],
        }
        for how, spoiled in odd.items():
            yield row_key(name, digest, how).decode(), spoiled


def _routes(project: Project, packages: Path) -> list[Any]:
    store = PackageStore(packages)

    def version(model: str, bias: float) -> VersionRef:
        contract = project.contract(model)
        known = facts(model, contract.feature_names, contract_hash=contract.hash.hex())
        weights = [0.0001 * (-1) ** number for number in range(len(contract.feature_names))]
        with tempfile.TemporaryDirectory() as folder:
            write_logistic_package(Path(folder, "p"), facts=known, weights=weights, bias=bias)
            put = store.put(Path(folder, "p"))
        return VersionRef(version=put.version, digest=put.digest)

    first, second, third = (version("every-tile", bias) for bias in (0.0, 1.0, 2.0))
    champion = _arm("champion", Role.ROLE_CHAMPION, first, 7_000)
    canary = _arm("canary", Role.ROLE_CHALLENGER, second, 3_000)
    rain = Condition(input="weather", any_of=AnyOf(values=[Value(text="rain"), Value(text="Föhn")]))
    cheap = Condition(input="offer", within=NumberRange(at_least=2.0, less_than=5.0))
    rome = Condition(entity="town", any_of=AnyOf(values=[Value(text="Roma")]))
    third_arms = [
        _arm("third", Role.ROLE_CHALLENGER, third, 5_000),
        _arm("first", Role.ROLE_CHAMPION, first, 5_000),
    ]
    tiles = RouteChanged(
        model="every-tile",
        revision=1_000_001,
        salt="Saltø",
        sticky_entity="stall",
        arms=[champion, canary],
        segments=[
            Segment(name="wet and cheap", conditions=[rain, cheap], arms=third_arms),
            Segment(
                name="rome", conditions=[rome], arms=[_arm("rome", Role.ROLE_CHALLENGER, second, 10_000)]
            ),
        ],
    )
    only = _arm("champion", Role.ROLE_CHAMPION, version("every-sketch", 0.5), 10_000)
    sketch = RouteChanged(model="every-sketch", revision=1_000_002, salt="s", arms=[only])
    return [_plain(tiles), _plain(sketch)]


def _arm(variant: str, role: Role, version: VersionRef, weight: int) -> Arm:
    return Arm(variant=variant, role=role, version=version, weight_basis_points=weight)


def _assignments() -> Iterator[dict[str, Any]]:
    weights = [9_000, 0, 1_000]
    documented = [("", ""), ("salt", "JFK"), ("salt", "LGA"), ("a8f1", "2013-04-01-UA-1545-EWR")]
    documented += [("spring", "été"), ("x", "y"), ("log:flight-delay", "2013-04-01-UA-1545-EWR")]
    for salt, key in [*documented, *(("deal", f"order-{number}") for number in range(40))]:
        yield {
            "salt": salt,
            "key": key,
            "point": point(salt, key),
            "weights": weights,
            "arm": arm_of(weights, salt, key),
        }


def _cases() -> Iterator[tuple[str, dict[str, Any]]]:
    for stall in STALLS:
        for town in TOWNS:
            yield f"{stall} in {town}", {"stall": stall, "town": town}
    for how in ("no bytes", "another magic", "another format", "another definition", "a word short"):
        yield how, {"stall": how}
    for how in ("a word long", "half a word long", "a wrong number of partitions", "without events"):
        yield how, {"stall": how}
    yield "a row of fewer partitions", {"stall": "of two partitions"}
    yield "a row of more partitions", {"stall": "of five partitions"}
    yield "a row of more partitions, of which none is applied", {"stall": "of four partitions"}
    yield "no such stall", {"stall": "never seen"}
    yield "an empty key", {"stall": ""}
    yield "a key with an empty part", {"stall": "plain", "town": ""}
    away = {
        "a microsecond before the newest event's tile": -HOUR_US // 12,
        "two hours before now": -2 * HOUR_US,
        "a day before now": -DAY_US,
        "ten minutes after now": HOUR_US // 6,
        "eleven hours after now": 11 * HOUR_US,
        "two days after now": 2 * DAY_US,
        "three days after now": 3 * DAY_US,
        "a month after now": 30 * DAY_US,
        "a month before now": -30 * DAY_US,
        "the first moment": -NOW_US,
    }
    for when, ahead_us in away.items():
        yield when, {"time_us": NOW_US + ahead_us}
    for asked in (
        "2013-03-31T00:59:59Z",
        "2013-03-31T01:00:00Z",
        "2013-11-03T05:59:59Z",
        "2013-12-31T23:30:00Z",
    ):
        yield f"asked at {asked}", {"asked_at": asked}
    for weather, offer in (
        ("rain", 2.0),
        ("Föhn", 4.999),
        ("rain", 5.0),
        ("sun", 3.0),
        ("snow", -0.0),
        ("", 1e300),
    ):
        yield f"weather {weather!r}, offer {offer}", {"town": "Roma", "weather": weather, "offer": offer}
    yield "a request key and a trace", {"request_key": "order 17/é", "trace": True}
    yield "what no feature reads", {"extra": True}
    yield "features not explained", {"explain": False}


def _questions() -> Iterator[tuple[str, ScoreRequest, dict[str, str]]]:
    for number, (name, case) in enumerate(_cases()):
        for model in ("every-tile", "every-sketch"):
            if model == "every-tile" and case.get("stall") == "":
                continue  # its route assigns by the stall
            yield f"{model}: {name}", _question(f"{model}-{number}", model, case), _metadata(case)


def _metadata(case: Mapping[str, Any]) -> dict[str, str]:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    return {"traceparent": trace} if case.get("trace") else {}


def _question(prediction_id: str, model: str, case: Mapping[str, Any]) -> ScoreRequest:
    time, asked = Timestamp(), Timestamp()
    time.FromMicroseconds(case.get("time_us", NOW_US))
    asked.FromJsonString(case.get("asked_at", "2013-04-03T15:00:00Z"))
    request = ScoreRequest(
        model=model,
        prediction_id=prediction_id,
        request_key=case.get("request_key", ""),
        entities={"stall": case.get("stall", "plain"), "town": case.get("town", "a|b")},
        context={
            "asked_at": Value(time=asked),
            "weather": Value(text=case.get("weather", "sun")),
            "offer": Value(number=case.get("offer", 2.5)),
        },
        request_time=time,
        explain_features=case.get("explain", True),
    )
    if case.get("extra"):
        request.entities["clerk"] = "7"
        request.context["holiday"].flag = False
    return request


async def _answers(folder: Path) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as scratch:
        async with memory_plane(Path(scratch), project=PROJECT) as plane:
            await serve(plane, folder)
            asked = [
                (name, request, metadata, await score(plane, request, metadata))
                for name, request, metadata in _questions()
            ]
            events = await recorded(plane)
    return [
        {
            "name": name,
            "request": _plain(request),
            "metadata": metadata,
            "response": _plain(_rounded(response)),
            "vector": events[request.prediction_id][1].features.values.hex(),
            "record": events[request.prediction_id][0],
            "event": _plain(_rounded(events[request.prediction_id][1])),
        }
        for name, request, metadata, response in asked
    ]


def _rounded(message: Any) -> Any:
    """The message with its score as it must be within tolerance on any processor."""
    message.score = round(message.score, 6)
    return message


def _plain(message: Message) -> Any:
    return MessageToDict(message, preserving_proto_field_name=True)


def _write_json(path: Path, content: list[Any]) -> None:
    lines = ",\n".join(json.dumps(one, ensure_ascii=False, sort_keys=True) for one in content)
    _write(path, f"[\n{lines}\n]\n".encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


if __name__ == "__main__":
    asyncio.run(make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent))
