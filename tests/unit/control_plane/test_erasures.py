"""An erasure is asked for by one, approved by another, announced, and closed by its receipt."""

import httpx
import pytest
from control_plane.adapters.memory import MemoryOutbox, MemoryRegistry
from tidemark.governance.v1.erasure_pb2 import SubjectErased

ASKED = {"entity": "customer", "subject": "a" * 32, "key_id": "b" * 8, "reason": "request 17"}
BO = {"Tidemark-Actor": "bo"}


async def ask(client: httpx.AsyncClient, **told: object) -> dict[str, object]:
    return dict((await client.post("/v1/erasures", json=ASKED | told)).json())


async def decide(client: httpx.AsyncClient, asked: dict[str, object], decision: str = "approve") -> None:
    place = f"/v1/approvals/{asked['approval_id']}/decision"
    reply = await client.post(place, json={"decision": decision, "comment": "seen"}, headers=BO)
    assert reply.status_code == 200, reply.text


def announced(outbox: MemoryOutbox) -> list[SubjectErased]:
    return [
        SubjectErased.FromString(one.event.data)
        for one in outbox.events
        if one.topic == "tidemark.subjects.erased.v1"
    ]


async def test_asking_again_finds_the_open_erasure(client: httpx.AsyncClient) -> None:
    first = await ask(client)
    assert first["state"] == "pending"
    again = await client.post("/v1/erasures", json=ASKED)
    assert (again.status_code, again.json()) == (200, first)


async def test_nobody_approves_what_they_asked_for(client: httpx.AsyncClient, outbox: MemoryOutbox) -> None:
    asked = await ask(client)
    place = f"/v1/approvals/{asked['approval_id']}/decision"
    refused = await client.post(place, json={"decision": "approve"})
    assert refused.status_code == 403
    assert refused.json()["type"] == "urn:tidemark:problem:own-erasure"
    assert announced(outbox) == []


@pytest.mark.parametrize("until_us", [None, 1_000_000_000_000_000])
async def test_an_approved_erasure_is_announced_once_up_to_its_time(
    client: httpx.AsyncClient, outbox: MemoryOutbox, until_us: int | None
) -> None:
    asked = await ask(client, until_us=until_us)
    await decide(client, asked)
    shown = (await client.get(f"/v1/erasures/{asked['erasure_id']}")).json()
    assert (shown["state"], shown["decided_by"]) == ("approved", "bo")
    [told] = announced(outbox)
    assert (told.entity, told.subject, told.key_id) == ("customer", "a" * 32, "b" * 8)
    assert told.until.seconds * 1_000_000 == shown["until_us"]
    assert until_us in {None, shown["until_us"]}
    topics = [one.topic for one in outbox.events]
    assert "tidemark.approvals.decided.v1" not in topics  # no model's: the retrain trigger knows none


async def test_a_rejected_erasure_is_not_announced_and_can_be_asked_for_again(
    client: httpx.AsyncClient, outbox: MemoryOutbox, registry: MemoryRegistry
) -> None:
    asked = await ask(client)
    await decide(client, asked, "reject")
    assert announced(outbox) == []
    refused = await client.post(f"/v1/erasures/{asked['erasure_id']}/receipt", json={"receipt": {}})
    assert refused.json()["type"] == "urn:tidemark:problem:erasure-not-approved"
    assert (await registry.audit_head()).sequence == 2


async def test_the_receipt_closes_it_and_is_in_the_audit_once(client: httpx.AsyncClient) -> None:
    asked = await ask(client)
    await decide(client, asked)
    for _ in range(2):
        place = f"/v1/erasures/{asked['erasure_id']}/receipt"
        closed = (await client.post(place, json={"receipt": {"rows": 3}})).json()
        assert (closed["state"], closed["receipt"]) == ("completed", {"rows": 3})
    links = (await client.get("/v1/audit")).json()["items"]
    assert [(one["action"], one["actor"]) for one in links] == [
        ("erasure.requested", "ada"),
        ("erasure.approved", "bo"),
        ("erasure.completed", "ada"),
    ]
    assert links[-1]["details"] == {"rows": 3}
    assert (await client.get("/v1/audit/verify")).json()["verified"]
    assert (await client.get("/v1/models")).json()["items"] == []
