"""The description is valid, complete, and true: every status it documents is made to happen here."""

from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest
from bus.errors import Unavailable
from control_plane.adapters.memory import MemoryOutbox, MemoryRegistry
from control_plane.testing import MemoryPackages, package_facts, registration_body
from fastapi import FastAPI

Operation = tuple[str, str]
Status = tuple[str, str, int]


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[Operation, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield (method.upper(), path), operation


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def test_every_schema_is_valid_and_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    found = {reference.removeprefix("#/components/schemas/") for reference in references(document)}
    assert found <= schemas.keys()
    assert "HTTPValidationError" not in schemas


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    for operation, description in operations(document):
        assert description.get("description") or description.get("summary"), operation
        assert description["tags"], operation
        for parameter in description.get("parameters", []):
            assert parameter.get("description"), (operation, parameter["name"])
    names = [description["operationId"] for _, description in operations(document)]
    assert len(names) == len(set(names))


def test_every_error_is_described_as_a_problem_by_example(document: dict[str, Any]) -> None:
    problem = document["components"]["schemas"]["Problem"]
    schema = problem | {"components": document["components"]}
    for operation, description in operations(document):
        for status, reply in description["responses"].items():
            if int(status) >= 400:
                content = reply["content"]["application/problem+json"]
                assert list(reply["content"]) == ["application/problem+json"], (operation, status)
                for example in content["examples"].values():
                    jsonschema.validate(example["value"], schema)
                    assert example["value"]["status"] == int(status)


class Recorder:
    """Sends requests and remembers which documented status each operation gave."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.seen: set[Status] = set()

    async def __call__(self, method: str, path: str, **options: Any) -> None:
        known = {
            "model": "late",
            "version": "a",
            "approval_id": "version:late:a",
            "rollout_id": "late-r1",
            "erasure_id": f"customer-{'a' * 12}-{NOW_US}",
        }
        names = known | options.pop("names", {})
        reply = await self._client.request(method, path.format(**names), **options)
        self.seen.add((method, path, reply.status_code))


MODELS, MODEL = "/v1/models", "/v1/models/{model}"
VERSIONS, VERSION = MODEL + "/versions", MODEL + "/versions/{version}"
ROUTE, REVISIONS, FOLLOWERS = MODEL + "/route", MODEL + "/route/revisions", MODEL + "/route/followers"
ROLLOUTS, ROLLOUT = MODEL + "/rollouts", MODEL + "/rollouts/{rollout_id}"
ABORT, ROLLBACK = ROLLOUT + "/abort", MODEL + "/rollback"
APPROVALS, APPROVAL = "/v1/approvals", "/v1/approvals/{approval_id}"
DECISION = APPROVAL + "/decision"
ERASURES, ERASURE = "/v1/erasures", "/v1/erasures/{erasure_id}"
RECEIPT = ERASURE + "/receipt"
AUDIT, VERIFY, OUTBOX = "/v1/audit", "/v1/audit/verify", "/v1/outbox"
LOOKS = [
    *(MODELS, MODEL, VERSIONS, VERSION, ROUTE, REVISIONS, FOLLOWERS, ROLLOUTS, ROLLOUT),
    *(APPROVALS, APPROVAL, ERASURES, ERASURE, AUDIT, VERIFY, OUTBOX),
]
BO = {"Tidemark-Actor": "bo"}
NOW_US = 1_357_020_000_000_000  # the clock of `conftest`
NOWHERE = {"model": "nobody", "approval_id": "nobody", "erasure_id": "nobody"}
NOBODY = {"Tidemark-Actor": ""}
YES = {"decision": "approve"}
ASKED = {"entity": "customer", "subject": "a" * 32, "key_id": "b" * 8, "reason": "asked"}
CHANGES: list[tuple[str, str, dict[str, object]]] = [
    ("POST", VERSIONS, {"digest": "1" * 64, "package_uri": "u"}),
    ("PUT", ROUTE, {"champion": "b"}),
    ("POST", DECISION, YES),
    ("POST", ROLLOUTS, {"version": "b"}),
    ("POST", ABORT, {}),
    ("POST", ROLLBACK, {}),
    ("POST", ERASURES, ASKED),
    ("POST", RECEIPT, {"receipt": {}}),
]


async def look_around(send: Recorder) -> None:
    for path in LOOKS:
        await send("GET", path)


async def ask_for_nonsense(send: Recorder) -> None:
    for path in LOOKS:
        await send("GET", path, names=NOWHERE)
        invalid = {"model": "no name", "approval_id": "x" * 600, "rollout_id": "x" * 300}
        invalid |= {"erasure_id": "x" * 300}
        await send("GET", path, names=invalid, params={"limit": 0})
    large = {"content": b" " * 70_000, "headers": {"Content-Type": "application/json"}}
    for method, path, body in CHANGES:
        await send(method, path, json={"nonsense": True})
        await send(method, path, **large)
        await send(method, path, json=body, headers=NOBODY)
        await send(method, path, json=body, names=NOWHERE)


async def register_and_approve(send: Recorder, packages: MemoryPackages) -> None:
    claims = [packages.put(package_facts(name=name)) for name in "ab"]
    bodies = [registration_body(claim) for claim in claims]
    for _ in range(2):
        await send("POST", VERSIONS, json=bodies[0])
    await send("POST", VERSIONS, json=dict(bodies[1]) | {"version": "a"})
    await send("POST", VERSIONS, json=dict(bodies[1]) | {"digest": "0" * 64})
    await send("POST", VERSIONS, json=bodies[1])
    await send("POST", DECISION, json=YES)
    for name in "ab":
        await send("POST", DECISION, json=YES, headers=BO, names={"approval_id": f"version:late:{name}"})


async def route_and_release(send: Recorder) -> None:
    await send("GET", ROUTE)
    await send("PUT", ROUTE, json={"champion": "nobody"})
    await send("PUT", ROUTE, json={"champion": "a"}, headers={"If-Match": '"9"'})
    for _ in range(2):
        await send("PUT", ROUTE, json={"champion": "a"})
    await send("POST", ROLLBACK, json={})
    for _ in range(2):
        await send("POST", ROLLOUTS, json={"version": "b"})
    await send("PUT", ROUTE, json={"champion": "b"})
    for _ in range(2):
        await send("POST", ABORT, json={})
    await send("PUT", ROUTE, json={"champion": "b"})
    await send("POST", ROLLBACK, json={"wait_s": 0})


async def erase(send: Recorder) -> None:
    for _ in range(2):
        await send("POST", ERASURES, json=ASKED)
    await send("POST", RECEIPT, json={"receipt": {}})
    approval = {"approval_id": f"erasure:customer-{'a' * 12}-{NOW_US}"}
    for headers in ({}, BO):
        await send("POST", DECISION, json=YES, headers=headers, names=approval)
    await send("POST", RECEIPT, json={"receipt": {"tables": {}}})


async def test_every_documented_status_happens(
    document: dict[str, Any],
    client: httpx.AsyncClient,
    registry: MemoryRegistry,
    outbox: MemoryOutbox,
    packages: MemoryPackages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send = Recorder(client)
    await register_and_approve(send, packages)
    await send("POST", DECISION, json=YES, headers=BO)
    await route_and_release(send)
    await erase(send)
    await look_around(send)
    await ask_for_nonsense(send)
    reads = ("models", "model", "versions", "version", "route", "revisions", "state")
    more = ("approvals", "approval", "rollouts", "rollout", "audit", "audit_head")
    for method in (*reads, *more):
        monkeypatch.setattr(registry, method, away)
    monkeypatch.setattr(outbox, "unsent", away)
    await look_around(send)
    for method, path, body in CHANGES:
        await send(method, path, json=body | ({"version": "b"} if path == VERSIONS else {}))

    documented = {
        (method, path, int(status))
        for (method, path), description in operations(document)
        for status in description["responses"]
    }
    assert send.seen == documented


async def away(*_arguments: object, **_options: object) -> None:
    raise Unavailable("the database is away")
