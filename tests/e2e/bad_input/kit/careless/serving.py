"""What serving is given, and how it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from bus.events import Event
from bus.producer import KafkaPublisher
from bus.topics import ROUTES_CHANGED
from model_package import PackageStore
from model_package.testing import facts, write_logistic_package
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged, VersionRef
from tidemark.scoring.v1.prediction_pb2 import Role
from tidemark_cli.platform import ProcessSpec

if TYPE_CHECKING:
    from model_package import Package

    from careless.scene import Scene

MODEL: Final = "flight-delay"
INFERENCE: Final = ProcessSpec("inference", "inference", ports=("GRPC_PORT",))


def put_package(scene: Scene, bias: float) -> Package:
    """Put a tiny logistic version of the model into the store; another bias is another version."""
    contract = scene.project.contract(MODEL)
    known = facts(MODEL, contract.feature_names, contract_hash=contract.hash.hex())
    weights = np.linspace(-1e-4, 1e-4, len(contract.feature_names)).tolist()
    folder = scene.folder / f"written-{bias}"
    write_logistic_package(folder, facts=known, weights=weights, bias=bias)
    return PackageStore(scene.packages).put(folder)


async def announce_route(scene: Scene, package: Package, revision: int) -> None:
    """Publish a route, past the control plane and whatever it would have said."""
    version = VersionRef(version=package.version, digest=package.digest, package_uri=package.uri)
    arm = Arm(variant="champion", role=Role.ROLE_CHAMPION, version=version, weight_basis_points=10_000)
    route = RouteChanged(model=MODEL, revision=revision, salt="careless", arms=[arm])
    event = Event.of(
        route, id=f"{MODEL}:{revision}", source="test", key=MODEL, time_us=revision, recorded_time_us=revision
    )
    async with KafkaPublisher(scene.bootstrap, client_id="test") as publisher:
        await publisher.publish(ROUTES_CHANGED.name, event)
