import pytest
from bus.events import Event, from_record, to_headers
from control_plane.adapters import announcements, wire
from control_plane.domain.versions import Claim
from control_plane.testing import route, version
from tidemark.registry.v1.model_pb2 import ModelRegistered
from tidemark.registry.v1.route_pb2 import RouteChanged
from tidemark.scoring.v1.prediction_pb2 import ROLE_CHAMPION


def registered(**fields: str) -> Event:
    message = ModelRegistered(**fields)  # type: ignore[arg-type]
    return Event.of(message, id="1", source="test", key="late", time_us=1, recorded_time_us=2)


def test_a_registration_is_read() -> None:
    event = registered(model="late", version="v", digest="d", package_uri="u", contract_hash="c")
    assert wire.claim_of(event) == Claim("late", "v", "d", "u", contract_hash="c")


def test_a_registration_that_says_nothing_of_its_contract_claims_nothing() -> None:
    event = registered(model="late", version="v", digest="d", package_uri="u")
    assert wire.claim_of(event).contract_hash is None


@pytest.mark.parametrize("missing", ["model", "version", "digest", "package_uri"])
def test_a_registration_without_a_field_is_refused_by_its_name(missing: str) -> None:
    fields = dict.fromkeys(("model", "version", "digest", "package_uri"), "x")
    del fields[missing]
    with pytest.raises(wire.UnreadableMessage, match=f"lacks {missing}") as refused:
        wire.claim_of(registered(**fields))
    assert refused.value.reason == "MISSING_FIELD"


def test_bytes_that_are_no_message_are_refused() -> None:
    event = Event("1", "t", "s", "", 1, 2, b"late", b"\xff\xff\xff")
    with pytest.raises(wire.UnreadableMessage) as refused:
        wire.claim_of(event)
    assert refused.value.reason == "UNREADABLE_MESSAGE"


def test_a_route_is_announced_whole() -> None:
    champion, shadow = version("a"), version("b")
    event = announcements.route_changed(route(3, champion, (shadow,)), traceparent="00-1")
    message = RouteChanged.FromString(event.data)
    assert (message.model, message.revision, message.salt, message.sticky_entity) == ("late", 3, "late", "")
    [arm] = message.arms
    assert (arm.variant, arm.role, arm.weight_basis_points) == ("champion", ROLE_CHAMPION, 10_000)
    assert (arm.version.version, arm.version.digest) == ("a", champion.digest)
    assert arm.version.package_uri == champion.package_uri
    assert [reference.version for reference in message.shadows] == ["b"]
    assert (event.key, event.time_us, event.traceparent) == (b"late", 7, "00-1")


def test_an_announcement_has_the_same_id_whenever_it_is_made() -> None:
    assert (
        announcements.route_changed(route(3, version("a"))).id
        == announcements.route_changed(route(3, version("a"))).id
    )
    assert (
        announcements.route_changed(route(3, version("a"))).id
        != announcements.route_changed(route(4, version("a"))).id
    )


def test_an_announcement_survives_the_envelope() -> None:
    event = announcements.route_changed(route(3, version("a")))
    assert from_record(event.key, event.data, to_headers(event)) == event
