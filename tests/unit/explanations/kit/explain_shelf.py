"""Versions, vectors and predictions for tests of what explains them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from bus.events import Event
from bus.received import Received
from bus.topics import MODELS_REGISTERED, PREDICTIONS_MADE, ROUTES_CHANGED
from inference.domain.routes import VersionRef
from inference.explain.explainer import Explainer, Limits
from inference.explain.metrics import ExplainMetrics
from inference.explain.versions import KnownVersions
from inference_kit.stock import MODEL, NOW_US, Stock, route_event
from model_package import Background
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from tidemark.registry.v1.model_pb2 import ModelRegistered
from tidemark.registry.v1.route_pb2 import RouteChanged
from tidemark.registry.v1.route_pb2 import VersionRef as VersionRefMessage
from tidemark.scoring.v1.feature_vector_pb2 import FeatureVector
from tidemark.scoring.v1.prediction_pb2 import PredictionMade, Role

WIDTH = 7
WEIGHTS = (1.0, -0.5, 0.25, 0.0, 2.0, -1.0, 0.5)
VECTOR = np.array([2, 30, 9, 14, 1, 3.5, 0], np.float32) / 10


def background(rows: int = 20, width: int = WIDTH) -> Background:
    """Vectors of no training set."""
    return Background(np.random.default_rng(1).normal(size=(rows, width)).astype(np.float32))


def ref_of(message: VersionRefMessage) -> VersionRef:
    """A version as the domain has it."""
    return VersionRef(message.version, message.digest, message.package_uri)


def score_of(vector: NDArray[np.float32], weights: tuple[float, ...] = WEIGHTS) -> float:
    """What the logistic version answers."""
    return float(1 / (1 + np.exp(-(vector.astype(np.float64) @ np.array(weights)))))


def prediction(prediction_id: str, version: str, **changes: Any) -> PredictionMade:
    """A prediction that was served."""
    vector = changes.pop("vector", VECTOR)
    fields: dict[str, Any] = {
        "prediction_id": prediction_id,
        "request_key": f"key-{prediction_id}",
        "model": MODEL,
        "version": version,
        "variant": "champion",
        "role": Role.ROLE_CHAMPION,
        "score": score_of(vector) if len(vector) == WIDTH else 0.1,
        "entities": {"user": "ann", "item": "tea"},
        "features": FeatureVector(values=vector.astype("<f4").tobytes(), statuses=bytes([1] * len(vector))),
    }
    made = PredictionMade(**{**fields, **changes})
    made.request_time.seconds = NOW_US // 1_000_000
    return made


def made_event(made: PredictionMade) -> Event:
    """As serving records it."""
    return Event.of(
        made,
        id=made.prediction_id,
        source="inference",
        key=made.request_key,
        time_us=NOW_US,
        recorded_time_us=NOW_US + 5,
    )


def registered_event(version: VersionRefMessage, model: str = MODEL) -> Event:
    """As the trainer announces it."""
    registered = ModelRegistered(
        model=model, version=version.version, digest=version.digest, package_uri=version.package_uri
    )
    return Event.of(
        registered, id=version.digest, source="trainer", key=model, time_us=NOW_US, recorded_time_us=NOW_US
    )


def received(event: Event, topic: str = PREDICTIONS_MADE.name, offset: int = 0) -> Received:
    """As a consumer is given it."""
    return Received(topic, 0, offset, event)


@dataclass
class Shelf:
    """A package store, what is known of its versions, and an explainer."""

    folder: Path
    limits: Limits = Limits(seconds=60, waiting=4, kept=10)  # noqa: RUF009 - frozen
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.stock = Stock(self.folder)
        self.metrics = ExplainMetrics(self.registry)
        self.versions = KnownVersions(structlog.stdlib.get_logger())
        self.explainer = Explainer(self.stock.store, self.limits, self.metrics)

    def version(self, **options: Any) -> VersionRefMessage:
        """Put a version that keeps a background in the store."""
        return self.stock.version(WEIGHTS, background=options.pop("background", background()), **options)

    async def register(self, version: VersionRefMessage) -> None:
        """Let a version be known."""
        await self.versions.on_registered(received(registered_event(version), MODELS_REGISTERED.name))

    async def route(self, route: RouteChanged) -> None:
        """Let a route be known."""
        await self.versions.on_route(received(route_event(route), ROUTES_CHANGED.name))

    def counted(self, name: str, **labels: str) -> float:
        """What a metric stands at."""
        return self.registry.get_sample_value(name, labels) or 0.0
