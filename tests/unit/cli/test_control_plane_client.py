"""The client against the API it was made for, served by this process."""

from typing import Any

import httpx
import pytest
from bus.errors import Unavailable
from control_plane.testing import package_facts, registration_body
from tidemark_cli.control_plane import ControlPlane
from tidemark_cli.failures import Failure, OutOfReach

VERSIONS = "/v1/models/late/versions"
ROUTE = "/v1/models/late/route"


@pytest.fixture
def control_plane(served: Any) -> ControlPlane:
    return ControlPlane(served.url, actor="ada")


@pytest.fixture
def bodies(served: Any) -> list[object]:
    return [registration_body(served.packages.put(package_facts(name=f"v{number}"))) for number in range(5)]


def test_what_was_created_is_told_from_what_was_there(
    control_plane: ControlPlane, bodies: list[object]
) -> None:
    assert [control_plane.post(VERSIONS, bodies[0])[1] for _ in range(2)] == [True, False]


def test_a_list_is_read_whole(
    control_plane: ControlPlane, bodies: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemark_cli.control_plane._PAGE", 2)
    for body in bodies:
        control_plane.post(VERSIONS, body)
    assert [item["version"] for item in control_plane.items(VERSIONS)] == ["v4", "v3", "v2", "v1", "v0"]


def test_a_conditional_change_that_lost_fails_in_the_control_planes_words(
    control_plane: ControlPlane, served: Any, bodies: list[object]
) -> None:
    control_plane.post(VERSIONS, bodies[0])
    approver = ControlPlane(served.url, actor="bob")
    approver.post("/v1/approvals/version:late:v0/decision", {"decision": "approve"})
    assert control_plane.put(ROUTE, {"champion": "v0"})["revision"] == 1
    with pytest.raises(Failure, match=r"The route has changed.*at revision 1"):
        control_plane.put(ROUTE, {"champion": "v0"}, if_match='"9"')


def test_a_refusal_says_what_to_do(control_plane: ControlPlane) -> None:
    with pytest.raises(Failure, match="register a version of it first") as refused:
        control_plane.get("/v1/models/nobody")
    assert refused.value.exit_code == 1


def test_an_outage_behind_the_control_plane_is_out_of_reach(
    control_plane: ControlPlane, served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_window: object) -> None:
        raise Unavailable("the database is away")

    monkeypatch.setattr(served.registry, "models", away)
    with pytest.raises(OutOfReach, match="does not answer right now"):
        control_plane.items("/v1/models")


def test_a_change_says_who_acts(control_plane: ControlPlane, served: Any, bodies: list[object]) -> None:
    control_plane.post(VERSIONS, bodies[0])
    assert control_plane.get(f"{VERSIONS}/v0")["registered_by"] == "ada"
    with pytest.raises(Failure, match="Tidemark-Actor"):
        ControlPlane(served.url).post(VERSIONS, bodies[1])


def test_something_else_at_the_address_is_recognised() -> None:
    proxy = httpx.MockTransport(lambda _request: httpx.Response(502, text="Bad Gateway"))
    with pytest.raises(OutOfReach, match="not as a control plane does"):
        ControlPlane("http://proxy", transport=proxy).get("/v1/models")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://"])
def test_nobody_at_the_address_says_how_to_start_one(url: str) -> None:
    with pytest.raises(OutOfReach, match="TIDEMARK_CONTROL_PLANE_URL"):
        ControlPlane(url).get("/v1/models")
