"""The shop's packages, routes, orders and questions: what a plane is given and asked."""

import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
from bus.events import Event
from feature_store import Incoming, Project, decode_events, load_project
from feature_store.online import Applier
from feature_store.onnx_graph import compile_project
from feature_store.secret_file import read_pseudonyms
from google.protobuf.timestamp_pb2 import Timestamp
from model_package import Background, DeclaredSignature, Facts, PackageStore, record_golden, write_package
from model_package.testing import facts, write_logistic_package
from numpy.typing import NDArray
from tidemark.common.v1.value_pb2 import Value
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged, VersionRef
from tidemark.scoring.v1.prediction_pb2 import Role
from tidemark.scoring.v1.scoring_service_pb2 import ScoreRequest

PROJECT: Final = "shop"
MODEL: Final = "returns"
DURABLE_MODEL: Final = "durable-returns"
STRICT_MODEL: Final = "strict-returns"
SAMPLED_MODEL: Final = "sampled-returns"
NOW_S: Final = 1_365_000_000  # 2013-04-03T14:40:00Z
NOW_US: Final = NOW_S * 1_000_000


class Stock:
    """Writes what planes read; with a file of a key, it hashes with it what is sensitive."""

    def __init__(self, folder: Path, project: str = PROJECT, key_file: str = "") -> None:
        self.project: Project = load_project(project)
        self._pseudonyms = read_pseudonyms(key_file)
        self.packages = folder / "packages"
        self.contract = folder / "contract"
        self.store = PackageStore(self.packages)
        self._written = (folder / f"written-{number}" for number in count())
        self._revisions = count(1)
        self._offsets = (count(), count())

    def compile(self) -> None:
        """Write what a plane without Python is given of the project."""
        self.contract.mkdir()
        for name, content in compile_project(self.project).items():
            (self.contract / name).write_bytes(content)

    def version(
        self,
        weights: Sequence[float] = (),
        bias: float = 0.0,
        *,
        model: str = MODEL,
        background: Background | None = None,
        **changes: Any,
    ) -> VersionRef:
        """Put a logistic version in the store; all weights 0.1 unless given."""
        contract = self.project.contract(model)
        weights = weights or [0.1] * len(contract.feature_names)
        known = facts(model, contract.feature_names, contract_hash=contract.hash.hex())
        folder = next(self._written)
        changed = known.model_copy(update=changes)
        write_logistic_package(folder, facts=changed, weights=weights, bias=bias, background=background)
        put = self.store.put(folder)
        return VersionRef(version=put.version, digest=put.digest, package_uri=put.uri)

    def graph_version(
        self, graph: bytes, signature: DeclaredSignature, vectors: NDArray[np.float32], *, model: str = MODEL
    ) -> VersionRef:
        """Put a version of any graph in the store; its golden rows are what it answers here to vectors."""
        contract = self.project.contract(model)
        known = facts(model, contract.feature_names, contract_hash=contract.hash.hex(), algorithm="graph")
        known = Facts.model_validate({**known.model_dump(), "signature": signature})
        folder = next(self._written)
        golden = record_golden(graph, known, vectors)
        write_package(folder, facts=known, model=graph, golden=golden, reference_profile={"features": {}})
        put = self.store.put(folder)
        return VersionRef(version=put.version, digest=put.digest, package_uri=put.uri)

    def route(self, *versions: VersionRef, model: str = MODEL, **changes: Any) -> RouteChanged:
        """Give a model's next route: equal shares for the versions, the first the champion."""
        arms = [
            Arm(
                variant="champion" if index == 0 else f"arm-{index}",
                role=Role.ROLE_CHAMPION if index == 0 else Role.ROLE_CHALLENGER,
                version=version,
                weight_basis_points=10_000 // len(versions),
            )
            for index, version in enumerate(versions)
        ]
        fields = {"model": model, "revision": next(self._revisions), "salt": "pepper", "arms": arms}
        return RouteChanged(**{**fields, **changes})

    async def apply(self, applier: Applier, orders: Sequence[dict[str, Any]]) -> None:
        """Bring rows up to date with orders; each names what it cares about."""
        source = self.project.sources["shop.ordered.v1"]
        batch, rejects = decode_events(source, self._incoming(orders), self._pseudonyms)
        assert not rejects, rejects
        await applier.apply(batch)

    def _incoming(self, orders: Sequence[dict[str, Any]]) -> Incoming:
        usual = {
            "order_id": "o",
            "user": "",
            "item": "",
            "amount": 1.0,
            "gift": False,
            "placed_at": "2013-04-03T14:30:00Z",
            "returned": False,
        }
        partitions = [number % 2 for number in range(len(orders))]
        offsets = [next(self._offsets[partition]) for partition in partitions]
        return Incoming(
            values=[json.dumps({**usual, **order}).encode() for order in orders],
            ids=[f"order-{where}-{offset}" for where, offset in zip(partitions, offsets, strict=True)],
            keys=[b""] * len(orders),
            event_time_us=[NOW_US] * len(orders),
            recorded_time_us=[NOW_US] * len(orders),
            partitions=partitions,
            offsets=offsets,
        )


def route_event(route: RouteChanged) -> Event:
    """A route as the control plane publishes it."""
    return Event.of(
        route,
        id=f"{route.model}:{route.revision}",
        source="test",
        key=route.model,
        time_us=NOW_US,
        recorded_time_us=NOW_US,
    )


def question(user: str = "nobody", item: str = "nothing", **changes: Any) -> ScoreRequest:
    """A well-formed request; `changes` replace its fields."""
    fields: dict[str, Any] = {
        "model": MODEL,
        "entities": {"user": user, "item": item},
        "context": {
            "asked_at": Value(time=Timestamp(seconds=NOW_S)),
            "gift": Value(flag=True),
            "basket": Value(number=3.5),
            "channel": Value(text="web"),
        },
        "request_time": Timestamp(seconds=NOW_S),
        "explain_features": True,
    }
    return ScoreRequest(**{**fields, **changes})
