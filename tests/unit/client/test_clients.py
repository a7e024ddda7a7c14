"""What a call becomes on the wire, and its answer or failure for the caller; for both clients."""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from client_kit.faces import FACES
from client_kit.servers import Refusal, ScriptedServer
from tidemark.scoring.v1.output_pb2 import Output as OutputMessage
from tidemark_client import (
    AsyncClient,
    CallRecord,
    Client,
    Connection,
    DeadlineExceeded,
    FeatureStatus,
    InvalidRequest,
    NoScore,
    NotReady,
    Outcome,
    Overloaded,
    Retries,
    Score,
    ScoringRequest,
    TidemarkError,
    UnexpectedStatus,
    UnknownModel,
    UnknownName,
    UnreadableReply,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UNAVAILABLE = Refusal(grpc.StatusCode.UNAVAILABLE, "not yet")
FULL = grpc.StatusCode.RESOURCE_EXHAUSTED
AT = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)

Open = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
async def open_client(request: pytest.FixtureRequest, server: ScriptedServer) -> AsyncIterator[Open]:
    """Open clients of the server under test; they are closed in the end."""
    opened: list[Any] = []

    def open_one(address: Any = None, **options: Any) -> Any:
        options = {"timeout_s": 5.0, "feature_address": server.address, **options}
        opened.append(FACES[request.param](address or server.address, **options))
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()


def asked(x: float | None = 1.0, **fields: Any) -> ScoringRequest:
    return ScoringRequest("m", context={} if x is None else {"x": x}, **fields)


async def test_a_request_travels_whole_and_its_answer_comes_back_whole(
    open_client: Open, server: ScriptedServer
) -> None:
    server.outputs = [
        OutputMessage(name="probabilities", datatype="FP32", shape=[2], values=b"\0\0\0\x3f\0\0\0\x3f"),
        OutputMessage(name="label", datatype="BYTES", texts=["late"]),
    ]
    score = await open_client().score(
        "m",
        {"origin": "JFK"},
        {"x": 2, "gift": True, "channel": "web", "asked_at": AT},
        request_time=AT,
        prediction_id="p1",
        request_key="k1",
        explain=True,
    )
    sent = server.attempts[0].message
    assert (sent.model, dict(sent.entities), sent.prediction_id) == ("m", {"origin": "JFK"}, "p1")
    assert (sent.context["x"].number, sent.context["gift"].flag) == (2.0, True)
    assert sent.context["channel"].text == "web"
    assert sent.context["asked_at"].time == sent.request_time
    assert sent.request_time.ToDatetime(tzinfo=UTC) == AT
    assert (score.score, score.version, score.variant) == (2.0, "1", "champion")
    assert (score.prediction_id, score.request_key) == ("p1", "k1")
    assert score.statuses == (FeatureStatus.PRESENT, FeatureStatus.MISSING, FeatureStatus.UNSPECIFIED)
    assert [(one.name, one.value) for one in score.features] == [("x", 2.0)]
    assert score.outputs["probabilities"].numpy().tolist() == [0.5, 0.5]
    assert score.outputs["label"].values == ("late",)
    assert pickle.loads(pickle.dumps(score)) == score


async def test_a_call_is_asked_again_under_the_same_id_until_it_is_answered(
    open_client: Open, server: ScriptedServer
) -> None:
    stopping = Refusal(grpc.StatusCode.CANCELLED, "not looked at")
    server.script.extend([UNAVAILABLE, Refusal(FULL, "busy"), stopping])
    score = await open_client().score("m", context={"x": 3.0})
    assert score.score == 3.0
    assert server.ids() == [score.prediction_id] * 4
    assert score.request_key == score.prediction_id


@pytest.mark.parametrize(
    ("refusal", "kind", "says"),
    [
        (
            Refusal(grpc.StatusCode.INVALID_ARGUMENT, "entities[a b]: is missing: x"),
            InvalidRequest,
            "is missing",
        ),
        (Refusal(grpc.StatusCode.NOT_FOUND, "model 'm' has no route"), UnknownModel, "no route"),
        (Refusal(grpc.StatusCode.INTERNAL, "no finite score"), NoScore, "no finite"),
        (Refusal(grpc.StatusCode.UNAUTHENTICATED, "who?"), UnexpectedStatus, "UNAUTHENTICATED: who?"),
        (Refusal(grpc.StatusCode.CANCELLED, "bye"), NotReady, "ask again"),
        (Refusal(grpc.StatusCode.DEADLINE_EXCEEDED, "late"), DeadlineExceeded, "Score .* within 5 s"),
    ],
)
async def test_what_asking_again_cannot_help_is_raised_at_once_by_its_type(
    open_client: Open, server: ScriptedServer, refusal: Refusal, kind: type[TidemarkError], says: str
) -> None:
    server.script.append(refusal)
    with pytest.raises(kind, match=says) as caught:
        await open_client(retries=Retries(most_attempts=1)).score("m", prediction_id="p7")
    assert caught.value.prediction_id == "p7"
    assert len(server.attempts) == 1


async def test_a_refused_field_is_named(open_client: Open) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await open_client().score("m")
    assert (caught.value.field, caught.value.problem) == ("context[x]", "is missing: read by all")


async def test_advice_is_kept_and_told(open_client: Open, server: ScriptedServer) -> None:
    server.script.extend(
        [Refusal(FULL, "busy", retry_after_s=0.2), None, Refusal(FULL, "busy", retry_after_s=60)]
    )
    records: list[CallRecord] = []
    client = open_client(on_call=records.append)
    await client.score("m", context={"x": 1.0})
    assert records[0].attempts == 2
    assert records[0].seconds >= 0.2
    first, second = (one.time_left_s for one in server.attempts)
    assert second < first - 0.1  # the attempts of a call share its deadline
    # Not within the deadline: told at once.
    with pytest.raises(Overloaded) as caught:
        await client.score("m", context={"x": 1.0})
    assert caught.value.retry_after_s == 60
    assert records[1].attempts == 1
    assert records[1].seconds < 5


async def test_advice_is_kept_whatever_the_reason(open_client: Open, server: ScriptedServer) -> None:
    failing = Refusal(grpc.StatusCode.UNAVAILABLE, "VERSION_FAILING: rests", retry_after_s=0.2)
    server.script.extend([failing, None, failing])
    records: list[CallRecord] = []
    client = open_client(on_call=records.append)
    await client.score("m", context={"x": 1.0})
    assert records[0].attempts == 2
    assert records[0].seconds >= 0.2
    with pytest.raises(NotReady) as caught:
        await open_client(retries=Retries(most_attempts=1)).score("m")
    assert caught.value.retry_after_s == 0.2
    assert pickle.loads(pickle.dumps(caught.value)).retry_after_s == 0.2


@pytest.mark.parametrize("details", [b"\xff\xff", b"", b"\x1a\x04\x0a\x02xx"])
async def test_advice_that_cannot_be_read_is_none(
    open_client: Open, server: ScriptedServer, details: bytes
) -> None:
    server.script.append(Refusal(FULL, "busy", details=details))
    with pytest.raises(Overloaded) as caught:
        await open_client(retries=Retries(most_attempts=1)).score("m")
    assert caught.value.retry_after_s is None


async def test_a_call_ends_by_its_deadline(open_client: Open, server: ScriptedServer) -> None:
    server.held.clear()
    records: list[CallRecord] = []
    client = open_client(on_call=records.append)
    with pytest.raises(DeadlineExceeded, match=r"Score was not answered within 0\.2 s .*timeout_s"):
        await client.score("m", context={"x": 1.0}, timeout_s=0.2)
    assert 0.15 < records[0].seconds < 3
    assert isinstance(records[0].error, DeadlineExceeded)


async def test_retries_stay_within_their_budget_while_everything_fails(
    open_client: Open, server: ScriptedServer
) -> None:
    server.script.extend([UNAVAILABLE] * 1_000)
    client = open_client(retries=Retries(budget_burst=10, first_backoff_s=0))
    for _ in range(100):
        with pytest.raises(NotReady, match="not yet"):
            await client.score("m")
    assert len(server.attempts) == 110


async def test_nobody_there_is_told_as_such(open_client: Open) -> None:
    with pytest.raises(NotReady):
        await open_client("127.0.0.1:1").score("m", timeout_s=0.5)
    records: list[CallRecord] = []
    assert not await open_client("127.0.0.1:1", on_call=records.append).is_ready(timeout_s=0.5)
    assert [one.attempts for one in records] == [1]  # whoever polls must not spend the retries of calls


async def test_many_are_answered_in_order_each_for_itself(open_client: Open, server: ScriptedServer) -> None:
    requests = [asked(None if n % 5 == 3 else float(n), prediction_id=f"p{n}") for n in range(23)]
    requests[7] = ScoringRequest("m", {"origin": 7}, {"x": 1.0})  # type: ignore[dict-item]
    answers = await open_client().score_many(requests, batch_rows=4, in_flight=3)
    assert len(answers) == 23
    for n, answer in enumerate(answers):
        if n == 7:
            assert isinstance(answer, InvalidRequest)
            assert answer.field == "entities[origin]"
        elif n % 5 == 3:
            assert isinstance(answer, InvalidRequest)
            assert (answer.field, answer.prediction_id) == ("context[x]", f"p{n}")
        else:
            assert isinstance(answer, Score)
            assert (answer.score, answer.prediction_id) == (n, f"p{n}")
    assert sorted(len(one.message.requests) for one in server.attempts) == [3, 3, 4, 4, 4, 4]


async def test_a_batch_that_fails_is_told_row_by_row_and_the_others_go_on(
    open_client: Open, server: ScriptedServer
) -> None:
    server.script.append(Refusal(grpc.StatusCode.PERMISSION_DENIED, "no"))
    answers = await open_client().score_many([asked(1.0)] * 4, batch_rows=2, in_flight=1)
    assert [type(one) for one in answers] == [UnexpectedStatus, UnexpectedStatus, Score, Score]
    ids = [one.prediction_id for one in answers]
    assert len(set(ids)) == 4
    assert None not in ids


async def test_a_batch_answered_with_too_few_results_is_not_taken_for_an_answer(
    open_client: Open, server: ScriptedServer
) -> None:
    server.results_missing = 1
    answers = await open_client().score_many([asked()] * 3)
    assert [type(one) for one in answers] == [UnreadableReply] * 3
    with pytest.raises(UnreadableReply, match="3 requests were answered by 2"):
        await open_client().streamed([asked()] * 3)


async def test_nothing_asked_is_nothing_answered(open_client: Open, server: ScriptedServer) -> None:
    assert await open_client().score_many([]) == []
    assert await open_client().streamed([]) == []
    assert [one for one in server.attempts if one.method != "ScoreStream"] == []


@pytest.mark.parametrize("options", [{"batch_rows": 0}, {"batch_rows": 1_001}, {"in_flight": 0}])
async def test_impossible_batches_are_refused(open_client: Open, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"batch_rows|in_flight"):
        await open_client().score_many([asked()], **options)
    with pytest.raises(ValueError, match=r"batch_rows|in_flight"):
        await open_client().streamed([asked()], **options)


async def test_a_stream_answers_in_order_each_for_itself(open_client: Open, server: ScriptedServer) -> None:
    requests = [asked(None if n % 7 == 2 else float(n)) for n in range(40)]
    requests[8:16] = [ScoringRequest(8)] * 8  # type: ignore[arg-type] # a whole batch that cannot be sent
    answers = await open_client().streamed(requests, batch_rows=4, in_flight=2)
    found = [one.score if isinstance(one, Score) else type(one) for one in answers]
    assert found == [InvalidRequest if n % 7 == 2 or 8 <= n < 16 else n for n in range(40)]
    assert len(server.attempts) == 8


async def test_a_stream_that_breaks_goes_on_with_what_was_not_answered(
    open_client: Open, server: ScriptedServer
) -> None:
    server.script.extend([None, None, UNAVAILABLE, None, None, UNAVAILABLE, UNAVAILABLE])
    answers = await open_client().streamed(
        [asked(float(n), prediction_id=f"p{n}") for n in range(60)], batch_rows=5, in_flight=3
    )
    assert [one.score for one in answers if isinstance(one, Score)] == list(range(60))
    assert [one.prediction_id for one in answers] == [f"p{n}" for n in range(60)]


async def test_a_stream_that_cannot_go_on_raises_why(open_client: Open, server: ScriptedServer) -> None:
    server.script.extend([None, Refusal(grpc.StatusCode.UNAUTHENTICATED, "who?")])
    with pytest.raises(UnexpectedStatus, match="who"):
        await open_client().streamed([asked()] * 4, batch_rows=2, in_flight=1)


async def test_a_stream_whose_server_is_silent_ends_by_the_deadline(
    open_client: Open, server: ScriptedServer
) -> None:
    server.held.clear()
    with pytest.raises(DeadlineExceeded, match=r"ScoreStream .* 0\.2 s"):
        await open_client().streamed([asked()], timeout_s=0.2)


async def test_what_the_callers_iterator_raises_reaches_the_caller(open_client: Open) -> None:
    def failing() -> Any:
        yield asked()
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await open_client().streamed(failing(), batch_rows=1)


async def test_an_outcome_is_reported_by_its_score_or_its_key(
    open_client: Open, server: ScriptedServer
) -> None:
    client = open_client()
    score = await client.score("m", context={"x": 1.0}, request_key="booking-1")
    await client.report_outcome(score, value=True, label="late", revision=1, outcome_time=AT)
    await client.report_outcome("p2", 12.5, label="loss")
    first, second = (one.message.outcomes[0] for one in server.attempts[1:])
    assert (first.request_key, first.value, first.label, first.revision) == ("booking-1", 1.0, "late", 1)
    assert first.outcome_time.ToDatetime(tzinfo=UTC) == AT
    assert not first.HasField("recorded_time")
    assert (second.request_key, second.value) == ("p2", 12.5)


async def test_many_outcomes_go_a_thousand_a_call_and_a_wrong_one_is_named(
    open_client: Open, server: ScriptedServer
) -> None:
    outcomes = [Outcome("late", f"k{n}", 0.0) for n in range(2_001)]
    await open_client().report_outcomes(outcomes)
    assert [len(one.message.outcomes) for one in server.attempts] == [1_000, 1_000, 1]
    wrong = Outcome("late", "k", "yes")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match=r"outcomes\[1\]\.value: is a str: give a bool or a number"):
        await open_client().report_outcomes([outcomes[0], wrong])
    server.script.append(Refusal(grpc.StatusCode.NOT_FOUND, "outcomes[0].label: there is no 'x'"))
    with pytest.raises(UnknownName, match="there is no"):
        await open_client().report_outcomes(outcomes[:1])


async def test_features_are_read_with_their_age(open_client: Open, server: ScriptedServer) -> None:
    found = await open_client().get_features(features=["a", "b"], entities={"origin": "JFK"}, request_time=AT)
    assert found.values == {"a": 1.5, "b": 1.5}
    assert [(one.view, one.age_s, one.is_complete) for one in found.views] == [
        ("known", 2.0, True),
        ("unknown", None, False),
    ]
    await open_client().get_features(model="m")
    assert server.attempts[-1].message.model == "m"
    for options in ({}, {"model": "m", "features": ["a"]}, {"features": "a"}):
        with pytest.raises(InvalidRequest):
            await open_client().get_features(**options)


async def test_features_and_outcomes_need_their_own_address(open_client: Open) -> None:
    client = open_client(feature_address=None)
    with pytest.raises(ValueError, match="feature_address"):
        await client.get_features(model="m")
    with pytest.raises(ValueError, match="feature_address"):
        await client.report_outcome("k", 1.0, label="late")


async def test_ready_is_who_says_so(open_client: Open, server: ScriptedServer) -> None:
    assert await open_client().is_ready()
    server.health = 2
    assert not await open_client().is_ready()
    server.script.append(Refusal(grpc.StatusCode.UNIMPLEMENTED, "what?"))
    with pytest.raises(UnexpectedStatus):
        await open_client().is_ready()


async def test_every_attempt_carries_the_callers_metadata_and_names_the_client(
    open_client: Open, server: ScriptedServer
) -> None:
    tokens = iter(["one", "two"])
    connection = Connection(metadata=lambda: (("authorization", next(tokens)),))
    server.script.append(UNAVAILABLE)
    await open_client(connection=connection).score("m", context={"x": 1.0})
    assert [one.metadata["authorization"] for one in server.attempts] == ["one", "two"]
    assert "tidemark-client-python/" in server.attempts[0].metadata["user-agent"]


async def test_calls_go_to_several_addresses_in_turn(open_client: Open, server: ScriptedServer) -> None:
    with ScriptedServer() as other:
        client = open_client([server.address, other.address])
        for _ in range(50):
            await client.score("m", context={"x": 1.0})
            if server.attempts and other.attempts:
                break
        assert server.attempts
        assert other.attempts


async def test_a_client_from_before_a_fork_says_so(
    open_client: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = open_client()
    own = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: own + 1)
    with pytest.raises(RuntimeError, match="before a fork"):
        await client.score("m", context={"x": 1.0})


async def test_calls_that_wait_when_the_client_closes_end(open_client: Open, server: ScriptedServer) -> None:
    server.held.clear()
    client = open_client()
    waiting = asyncio.ensure_future(client.score("m", context={"x": 1.0}))
    await asyncio.to_thread(server.arrived.acquire)
    await client.close()
    with pytest.raises((NotReady, asyncio.CancelledError)):
        await waiting
    with pytest.raises(NotReady, match="closed"):
        await client.score("m", context={"x": 1.0})


async def test_a_request_that_no_server_would_read_is_not_sent(
    open_client: Open, server: ScriptedServer
) -> None:
    with pytest.raises(InvalidRequest, match=r"takes 4,\d+,\d+ bytes"):
        await open_client().score("m", context={"x": 1.0, "text": "x" * 2**22})
    assert server.attempts == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"model": "\ud800"}, "model"),
        ({"entities": {"user": "\ud800"}}, "entities[user]"),
        ({"entities": {1: "ann"}}, "entities"),
        ({"entities": ["user"]}, "entities"),
        ({"context": {"text": "a\udfff"}}, "context[text]"),
        ({"context": {2: 1.0}}, "context"),
        ({"prediction_id": 5}, "prediction_id"),
        ({"request_key": b"k"}, "request_key"),
    ],
)
async def test_what_cannot_be_written_is_refused_by_name_and_the_other_rows_are_answered(
    open_client: Open, server: ScriptedServer, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await open_client().score(**{"model": "m", **fields})
    assert refused.value.field == field
    assert server.attempts == []
    wrong = ScoringRequest(**{"model": "m", **fields})
    first, second = await open_client().score_many([wrong, ScoringRequest("m", context={"x": 1.0})])
    assert isinstance(first, InvalidRequest)
    assert isinstance(second, Score)


async def test_what_is_no_request_is_named(open_client: Open) -> None:
    with pytest.raises(TypeError, match="a dict was given where a ScoringRequest is asked"):
        await open_client().score_many([{"model": "m"}])


@pytest.mark.parametrize("revision", [-1, 1.0, 2**63, "1"])
async def test_a_revision_is_a_whole_number(open_client: Open, revision: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await open_client().report_outcome("key", 1, label="l", revision=revision)
    assert refused.value.field == "outcomes[0].revision"


async def test_outcomes_travel_within_the_bytes_of_a_message(
    open_client: Open, server: ScriptedServer
) -> None:
    keys = [f"{number}:{'k' * 200_000}" for number in range(50)]
    await open_client().report_outcomes(Outcome("l", key, 1) for key in keys)
    sent = [one.message for one in server.attempts]
    assert [len(one.outcomes) for one in sent] == [20, 20, 10]
    assert [told.request_key for one in sent for told in one.outcomes] == keys
    with pytest.raises(InvalidRequest, match=r"outcomes\[1\]: takes 5,\d+,\d+ bytes"):
        await open_client().report_outcomes([Outcome("l", "k", 1), Outcome("l", "k" * 5_000_000, 1)])


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf")])
async def test_a_timeout_that_is_none_is_refused(open_client: Open, timeout_s: float) -> None:
    with pytest.raises(ValueError, match="it must be above 0, and at most 86,400"):
        await open_client().score("m", timeout_s=timeout_s)


async def test_a_client_that_is_closed_says_so_whatever_is_asked(open_client: Open) -> None:
    client = open_client()
    await client.close()
    await client.close()
    with pytest.raises(NotReady, match="closed"):
        await client.streamed([ScoringRequest("m", context={"x": 1.0})])
    with pytest.raises(NotReady, match="closed"):
        await client.report_outcome("key", 1, label="l")
    [answer] = await client.score_many([ScoringRequest("m")])
    assert isinstance(answer, NotReady)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://inference:50051", "is a URL: give host:port"),
        ("inference", "has no port"),
        ("[::1]", "has no port"),
        (["10.0.0.1:1", "10.0.0.2"], "has no port"),
    ],
)
async def test_an_address_is_a_host_and_a_port(open_client: Open, address: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        open_client(address)


def test_both_clients_have_one_surface() -> None:
    def surface(client: type) -> dict[str, list[tuple[str, Any, Any]]]:
        return {
            name: [(one.name, one.kind, one.default) for one in inspect.signature(method).parameters.values()]
            for name, method in vars(client).items()
            if not name.startswith("_")
        }

    assert surface(Client) == surface(AsyncClient)
    own = inspect.signature(Client).parameters
    assert [name for name in inspect.signature(AsyncClient).parameters if name in own] == list(own)
