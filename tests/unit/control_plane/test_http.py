import json
from typing import Any

import httpx
import pytest
from bus.errors import Unavailable
from bus.events import Event
from bus.topics import ROUTES_CHANGED
from control_plane.adapters.memory import MemoryOutbox, MemoryRegistry
from control_plane.testing import MemoryPackages, package_facts, registration_body
from tidemark.registry.v1.route_pb2 import RouteChanged

ROUTE = "/v1/models/late/route"
VERSIONS = "/v1/models/late/versions"


@pytest.fixture
async def digests(client: httpx.AsyncClient, packages: MemoryPackages) -> dict[str, str]:
    """Versions a, b and c are registered and approved; other reads another contract."""
    contracts = {"a": "1" * 64, "b": "1" * 64, "c": "1" * 64, "other": "2" * 64}
    digests = {}
    for name, contract in contracts.items():
        claim = packages.put(package_facts(name=name, contract=contract))
        reply = await client.post(VERSIONS, json=registration_body(claim))
        assert reply.status_code == 201
        approval = f"/v1/approvals/{reply.json()['approval_id']}/decision"
        decided = await client.post(approval, json={"decision": "approve"}, headers={"Tidemark-Actor": "bo"})
        assert decided.status_code == 200
        digests[name] = claim.digest
    return digests


def problem(reply: httpx.Response) -> dict[str, Any]:
    """The problem a reply must be."""
    assert reply.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = reply.json()
    assert body["status"] == reply.status_code
    assert body["instance"] == reply.request.url.path
    assert body["type"].startswith("urn:tidemark:problem:")
    return body


def routes_in(outbox: MemoryOutbox) -> list[Event]:
    return [pending.event for pending in outbox.events if pending.topic == ROUTES_CHANGED.name]


def kind(reply: httpx.Response) -> str:
    return str(problem(reply)["type"]).removeprefix("urn:tidemark:problem:")


async def test_a_version_is_registered_once(client: httpx.AsyncClient, packages: MemoryPackages) -> None:
    claim = packages.put(package_facts(name="a"))
    first = await client.post(VERSIONS, json=registration_body(claim))
    again = await client.post(VERSIONS, json=registration_body(claim))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["location"] == "/v1/models/late/versions/a"
    assert first.json() == again.json()
    assert (await client.get(first.headers["location"])).json() == first.json()


async def test_a_version_shows_what_its_package_says(
    client: httpx.AsyncClient, packages: MemoryPackages
) -> None:
    claim = packages.put(package_facts(name="a"))
    body = (await client.post(VERSIONS, json=registration_body(claim))).json()
    assert body["metrics"] == {"roc_auc": 0.75, "log_loss": 0.5}
    assert body["trained_until"] == "1970-01-01T00:00:01Z"
    assert body["registered_at"] == "2013-01-01T06:00:00Z"
    assert (body["version"], body["training_rows"], body["digest"]) == ("a", 100, claim.digest)


async def test_a_version_without_a_name_gets_the_packages(
    client: httpx.AsyncClient, packages: MemoryPackages
) -> None:
    claim = packages.put(package_facts(name="logistic-7"))
    body = {"digest": claim.digest, "package_uri": claim.package_uri}
    assert (await client.post(VERSIONS, json=body)).json()["version"] == "logistic-7"


@pytest.mark.usefixtures("digests")
async def test_lists_are_walked_by_their_cursors(client: httpx.AsyncClient) -> None:
    first = (await client.get(VERSIONS, params={"limit": 3})).json()
    second = (await client.get(VERSIONS, params={"limit": 3, "after": first["next"]})).json()
    names = [item["version"] for page in (first, second) for item in page["items"]]
    assert (names, second["next"]) == (["other", "c", "b", "a"], None)
    models = (await client.get("/v1/models")).json()
    assert [item["model"] for item in models["items"]] == ["late"]


@pytest.mark.usefixtures("digests")
async def test_a_route_is_set_read_and_announced(
    client: httpx.AsyncClient, outbox: MemoryOutbox, woken: list[bool]
) -> None:
    reply = await client.put(ROUTE, json={"champion": "a", "shadows": ["b"]})
    assert (reply.status_code, reply.headers["etag"]) == (201, '"1"')
    read = await client.get(ROUTE)
    assert (read.json(), read.headers["etag"]) == (reply.json(), '"1"')
    assert read.json()["champion"]["version"] == "a"
    [announced] = routes_in(outbox)
    message = RouteChanged.FromString(announced.data)
    assert (message.revision, message.arms[0].version.version) == (1, "a")
    assert woken
    model = (await client.get("/v1/models/late")).json()
    assert (model["champion"], model["shadows"], model["revision"]) == ("a", ["b"], 1)


@pytest.mark.usefixtures("digests")
async def test_setting_the_same_route_again_changes_nothing(
    client: httpx.AsyncClient, outbox: MemoryOutbox, woken: list[bool]
) -> None:
    await client.put(ROUTE, json={"champion": "a"})
    before = (len(outbox.events), len(woken))
    reply = await client.put(ROUTE, json={"champion": "a"})
    assert (reply.status_code, reply.json()["revision"]) == (200, 1)
    assert (len(outbox.events), len(woken)) == before


@pytest.mark.usefixtures("digests")
async def test_a_route_changes_only_from_the_revision_the_caller_saw(client: httpx.AsyncClient) -> None:
    created = await client.put(ROUTE, json={"champion": "a"}, headers={"If-None-Match": "*"})
    seen = {"If-Match": created.headers["etag"]}
    changed = await client.put(ROUTE, json={"champion": "b"}, headers=seen)
    assert (created.status_code, changed.status_code, changed.json()["revision"]) == (201, 200, 2)
    for outdated in (seen, {"If-None-Match": "*"}):
        late = await client.put(ROUTE, json={"champion": "c"}, headers=outdated)
        assert (late.status_code, kind(late)) == (412, "revision-conflict")
        assert problem(late)["current_revision"] == 2
    history = (await client.get(f"{ROUTE}/revisions")).json()["items"]
    assert [item["champion"]["version"] for item in history] == ["b", "a"]


@pytest.mark.usefixtures("digests")
async def test_an_announcement_continues_the_callers_trace(
    client: httpx.AsyncClient, outbox: MemoryOutbox
) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    await client.put(
        ROUTE, json={"champion": "a"}, headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    )
    [announced] = routes_in(outbox)
    continued = announced.traceparent
    assert continued is not None
    assert trace_id in continued
    assert "00f067aa0ba902b7" not in continued


@pytest.mark.usefixtures("digests")
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"champion": "nobody"}, "UNKNOWN_VERSION"),
        ({"champion": "a", "shadows": ["nobody"]}, "UNKNOWN_VERSION"),
        ({"champion": "a", "shadows": ["a"]}, "CHAMPION_IS_SHADOW"),
        ({"champion": "a", "shadows": ["b", "b"]}, "DUPLICATE_SHADOW"),
        ({"champion": "a", "shadows": ["other"]}, "CONTRACT_MISMATCH"),
    ],
)
async def test_a_route_that_makes_no_sense_is_refused_with_the_rule(
    client: httpx.AsyncClient, body: dict[str, object], reason: str
) -> None:
    reply = await client.put(ROUTE, json=body)
    assert (reply.status_code, kind(reply), problem(reply)["reason"]) == (422, "route-refused", reason)


@pytest.mark.usefixtures("digests")
@pytest.mark.parametrize(
    ("body", "location"),
    [
        ("not JSON", ["body", 0]),
        ("[]", ["body"]),
        ("{}", ["body", "champion"]),
        ('{"champion": "a", "shadow": []}', ["body", "shadow"]),
        ('{"champion": "a", "shadows": "b"}', ["body", "shadows"]),
        ('{"champion": 3}', ["body", "champion"]),
        ('{"champion": "../a"}', ["body", "champion"]),
        ('{"champion": "a", "shadows": ["b", ""]}', ["body", "shadows", 1]),
        (json.dumps({"champion": "a", "shadows": ["b"] * 17}), ["body", "shadows"]),
    ],
)
async def test_an_invalid_body_is_refused_naming_the_place(
    client: httpx.AsyncClient, body: str, location: list[str | int]
) -> None:
    reply = await client.put(ROUTE, content=body, headers={"Content-Type": "application/json"})
    assert kind(reply) == "invalid-request"
    assert [error["location"] for error in problem(reply)["errors"]] == [location]


@pytest.mark.usefixtures("digests")
@pytest.mark.parametrize(
    "headers",
    [
        {"If-Match": "3"},
        {"If-Match": 'W/"3"'},
        {"If-Match": '"3", "4"'},
        {"If-Match": '"³"'.encode()},
        {"If-Match": '"' + "9" * 30 + '"'},
        {"If-None-Match": '"3"'},
        {"If-None-Match": "*", "If-Match": '"3"'},
    ],
)
async def test_a_condition_that_cannot_be_meant_is_refused(
    client: httpx.AsyncClient, headers: dict[str, str], outbox: MemoryOutbox
) -> None:
    reply = await client.put(ROUTE, json={"champion": "a"}, headers=headers)
    assert (kind(reply), problem(reply)["errors"][0]["location"][0]) == ("invalid-request", "header")
    assert routes_in(outbox) == []


@pytest.mark.parametrize(
    ("body", "location"),
    [
        ({}, [["body", "digest"], ["body", "package_uri"]]),
        ({"digest": "x", "package_uri": "u"}, [["body", "digest"]]),
        ({"digest": "A" * 64, "package_uri": "u"}, [["body", "digest"]]),
        ({"digest": "a" * 64, "package_uri": ""}, [["body", "package_uri"]]),
        ({"digest": "a" * 64, "package_uri": "u", "version": "a b"}, [["body", "version"]]),
        ({"digest": "a" * 64, "package_uri": "u", "metrics": {}}, [["body", "metrics"]]),
    ],
)
async def test_an_invalid_registration_is_refused_naming_the_places(
    client: httpx.AsyncClient, body: dict[str, object], location: list[list[str]]
) -> None:
    reply = await client.post(VERSIONS, json=body)
    assert kind(reply) == "invalid-request"
    assert [error["location"] for error in problem(reply)["errors"]] == location


async def test_a_package_that_is_not_there_is_refused(client: httpx.AsyncClient) -> None:
    reply = await client.post(VERSIONS, json={"digest": "a" * 64, "package_uri": "u"})
    assert (kind(reply), problem(reply)["reason"]) == ("package-refused", "PACKAGE_MISSING")


async def test_a_lost_package_cannot_be_routed_to(
    client: httpx.AsyncClient, digests: dict[str, str], packages: MemoryPackages
) -> None:
    del packages.held[digests["b"]]
    reply = await client.put(ROUTE, json={"champion": "a", "shadows": ["b"]})
    assert (kind(reply), problem(reply)["reason"]) == ("package-refused", "PACKAGE_MISSING")


async def test_another_package_under_a_taken_name_is_a_conflict(
    client: httpx.AsyncClient, digests: dict[str, str]
) -> None:
    body = {"version": "a", "digest": digests["b"], "package_uri": "u"}
    reply = await client.post(VERSIONS, json=body)
    assert (reply.status_code, kind(reply)) == (409, "version-conflict")


@pytest.mark.parametrize("size", [65_536, 65_537])
@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_has_a_bound(client: httpx.AsyncClient, size: int, *, announced: bool) -> None:
    body = b'{"digest": "%s"}' % (b"a" * (size - 14))

    async def stream() -> Any:
        for start in range(0, size, 10_000):
            yield body[start : start + 10_000]

    assert len(body) == size
    headers = {"Content-Type": "application/json"}
    reply = await client.post(VERSIONS, content=body if announced else stream(), headers=headers)
    assert kind(reply) == ("body-too-large" if size > 65_536 else "invalid-request")


async def test_an_unknown_address_and_an_unknown_method_are_problems_too(client: httpx.AsyncClient) -> None:
    lost = await client.get("/v2/models")
    wrong = await client.delete("/v1/models")
    assert (lost.status_code, kind(lost)) == (404, "not-found")
    assert (wrong.status_code, kind(wrong), wrong.headers["allow"]) == (405, "method-not-allowed", "GET")


async def test_an_outage_says_so_and_a_bug_gives_nothing_away(
    client: httpx.AsyncClient, registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_model: str) -> None:
        raise Unavailable("postgresql://user@db is away")

    async def broken(_model: str) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(registry, "model", away)
    reply = await client.get("/v1/models/late")
    assert (reply.status_code, kind(reply), reply.headers["retry-after"]) == (503, "unavailable", "1")
    assert "postgresql" not in reply.text
    monkeypatch.setattr(registry, "model", broken)
    reply = await client.get("/v1/models/late")
    assert (reply.status_code, kind(reply)) == (500, "internal")
    assert "secret" not in reply.text
