"""Protobuf on one side, the domain on the other."""

from bus.events import Event
from google.protobuf.message import DecodeError
from tidemark.registry.v1.model_pb2 import ModelRegistered
from tidemark.registry.v1.route_pb2 import Arm, RouteChanged, VersionRef
from tidemark.scoring.v1.prediction_pb2 import ROLE_CHAMPION

from control_plane.domain.routes import Route
from control_plane.domain.versions import Claim, Version

SOURCE = "tidemark/control_plane"
_ALL_TRAFFIC_BASIS_POINTS = 10_000
_REQUIRED = ("model", "version", "digest", "package_uri")


class UnreadableMessage(Exception):
    """An event's data does not say which version was registered.

    Attributes:
        reason: Which rule it breaks, in UPPER_SNAKE.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def claim_of(event: Event) -> Claim:
    """Reads `ModelRegistered`.

    Raises:
        UnreadableMessage: the data is no such message, or lacks a field.
    """
    message = ModelRegistered()
    try:
        message.ParseFromString(event.data)
    except DecodeError as error:
        raise UnreadableMessage("UNREADABLE_MESSAGE", f"The data is no ModelRegistered: {error}.") from error
    missing = [name for name in _REQUIRED if not getattr(message, name)]
    if missing:
        raise UnreadableMessage("MISSING_FIELD", f"ModelRegistered lacks {', '.join(missing)}.")
    return Claim(
        model=message.model,
        version=message.version,
        digest=message.digest,
        package_uri=message.package_uri,
        contract_hash=message.contract_hash or None,
    )


def route_changed(route: Route, *, traceparent: str | None = None) -> Event:
    """Announces a route; the event's id follows from model and revision, so a repeat is recognised."""
    message = RouteChanged(
        model=route.model,
        revision=route.revision,
        salt=route.salt,
        arms=[
            Arm(
                variant="champion",
                role=ROLE_CHAMPION,
                version=_reference(route.champion),
                weight_basis_points=_ALL_TRAFFIC_BASIS_POINTS,
            )
        ],
        shadows=[_reference(shadow) for shadow in route.shadows],
    )
    return Event.of(
        message,
        id=f"route:{route.model}:{route.revision}",
        source=SOURCE,
        key=route.model,
        time_us=route.changed_at_us,
        recorded_time_us=route.changed_at_us,
        traceparent=traceparent,
    )


def _reference(version: Version) -> VersionRef:
    return VersionRef(version=version.version, digest=version.digest, package_uri=version.package_uri)
