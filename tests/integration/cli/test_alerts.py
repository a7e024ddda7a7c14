"""Alerts and retrainings, read from their topics on a real broker."""

import asyncio
import json
import os
import signal
import sys

import pytest
from bus.events import Event
from bus.producer import KafkaPublisher
from bus.records import OutgoingRecord
from bus.topics import (
    ALERTS_CHANGED,
    RETRAIN_APPROVED,
    RETRAIN_REFUSED,
    RETRAIN_REQUESTED,
    Topic,
    ensure_topics,
)
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from tidemark.monitoring.v1.alert_pb2 import AlertChanged, AlertState, AlertType, Evidence, Severity
from tidemark.retraining.v1.retrain_pb2 import (
    RetrainApproved,
    RetrainRefusal,
    RetrainRefused,
    RetrainRequested,
)
from tidemark_cli.testing import Cli

DRIFT = "late:input-drift"
QUALITY = "other:input-quality"


def day(number: int) -> Timestamp:
    return Timestamp(seconds=number * 86_400)


def drift(state: AlertState, episode: int, revision: int) -> AlertChanged:
    told = AlertChanged(
        fingerprint=DRIFT,
        type=AlertType.ALERT_TYPE_FEATURE_DRIFT,
        state=state,
        severity=Severity.SEVERITY_WARNING,
        model="late",
        monitor="input-drift",
        version="gb-1",
        owner="ann",
        runbook="docs/runbooks/feature-drift.md",
        summary="wind_mph moved.",
        evidence=[
            Evidence(subject="wind_mph", statistic="psi", before=0.01, now=0.62, threshold=0.25, rows=6_543)
        ],
        episode=episode,
        revision=revision,
        pending_since=day(episode * 10),
        changed_at=day(episode * 10 + revision),
        requests_affected=12_345,
    )
    if state != AlertState.ALERT_STATE_PENDING:
        told.firing_since.CopyFrom(day(episode * 10 + 1))
    if state == AlertState.ALERT_STATE_RESOLVED:
        told.resolved_at.CopyFrom(told.changed_at)
    return told


CHANGES = [
    drift(AlertState.ALERT_STATE_PENDING, 1, 0),
    drift(AlertState.ALERT_STATE_FIRING, 1, 1),
    drift(AlertState.ALERT_STATE_RESOLVED, 1, 2),
    drift(AlertState.ALERT_STATE_PENDING, 2, 0),
    drift(AlertState.ALERT_STATE_FIRING, 2, 1),
]
OTHER = AlertChanged(
    fingerprint=QUALITY, model="other", state=AlertState.ALERT_STATE_PENDING, runbook="https://wiki/quality"
)


async def publish(broker: str, topic: Topic, key: str, *messages: Message) -> None:
    await ensure_topics(broker, [topic])
    async with KafkaPublisher(broker, client_id="test") as publisher:
        for number, message in enumerate(messages):
            event = Event.of(
                message, id=f"{key}:{number}", source="test", key=key, time_us=0, recorded_time_us=0
            )
            await publisher.publish(topic.name, event)


@pytest.fixture(scope="module")
async def alerts(broker: str) -> None:
    await publish(broker, ALERTS_CHANGED, DRIFT, *CHANGES)
    await publish(broker, ALERTS_CHANGED, QUALITY, OTHER)


@pytest.mark.usefixtures("alerts")
async def test_each_alert_is_listed_once_as_it_stands(on_kafka: Cli) -> None:
    listed = await on_kafka.read("alerts", "list")
    assert [(one["fingerprint"], one["state"], one["episode"]) for one in listed] == [
        (DRIFT, "firing", 2),
        (QUALITY, "pending", 0),
    ]
    assert [one["fingerprint"] for one in await on_kafka.read("alerts", "list", "--state", "pending")] == [
        QUALITY
    ]
    assert [one["fingerprint"] for one in await on_kafka.read("alerts", "list", "--model", "late")] == [DRIFT]
    told = await on_kafka.show("alerts", "list", "--state", "firing")
    line = f"firing warning {DRIFT} 1970-01-22T00:00:00Z wind_mph moved. ann docs/runbooks/feature-drift.md"
    assert line in told
    nothing = await on_kafka.show("alerts", "list", "--state", "resolved", "--model", "late")
    assert nothing == "There is no resolved alert of late."


@pytest.mark.usefixtures("alerts")
async def test_an_alert_is_shown_with_evidence_episodes_and_the_runbook_filled_in(on_kafka: Cli) -> None:
    told = await on_kafka.show("alerts", "show", "input-drift")
    assert "wind_mph all psi 0.01 0.62 0.25 6,543" in told
    assert "1 resolved 1970-01-11T00:00:00Z 1970-01-12T00:00:00Z 1970-01-13T00:00:00Z 12,345" in told
    assert "2 firing 1970-01-21T00:00:00Z" in told
    assert f"tidemark alerts show {DRIFT}" in told
    shown = await on_kafka.read("alerts", "show", DRIFT)
    assert [one["episode"] for one in shown["episodes"]] == [1, 2]
    assert "tidemark route show late" in shown["runbook_text"]


@pytest.mark.usefixtures("alerts")
async def test_a_runbook_that_is_elsewhere_is_named(on_kafka: Cli) -> None:
    assert "The runbook is not on this machine: https://wiki/quality." in await on_kafka.show(
        "alerts", "show", QUALITY
    )


@pytest.mark.usefixtures("alerts")
async def test_an_alert_that_is_not_there_is_said_so(on_kafka: Cli) -> None:
    assert "there is no alert 'nope': `tidemark alerts list`" in await on_kafka.refused(
        "alerts", "show", "nope"
    )


@pytest.mark.usefixtures("alerts")
async def test_changes_are_followed_a_line_each(on_kafka: Cli) -> None:
    told = await on_kafka.lines("alerts", "tail", "--from-beginning", "--limit", "6", "--model", "late")
    assert [(one["state"], one["episode"]) for one in told] == [
        ("pending", 1),
        ("firing", 1),
        ("resolved", 1),
        ("pending", 2),
        ("firing", 2),
    ]
    lines = await on_kafka.show("alerts", "tail", "--from-beginning", "--limit", "6", "--model", "late")
    assert lines.startswith(f"1970-01-11T00:00:00Z pending warning {DRIFT} wind_mph moved. 1970-01-12")


@pytest.mark.usefixtures("alerts")
async def test_following_alerts_ends_at_an_interrupt(on_kafka: Cli) -> None:
    following = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidemark_cli", "alerts", "tail", "--from-beginning", "--json"),
        env=dict(os.environ) | dict(on_kafka.environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert following.stdout is not None
    async with asyncio.timeout(30):
        assert json.loads(await following.stdout.readline())["fingerprint"] in {DRIFT, QUALITY}
        following.send_signal(signal.SIGINT)
        _, error = await following.communicate()
    assert (following.returncode, error) == (130, b"")


@pytest.mark.usefixtures("alerts")
async def test_a_record_that_is_no_alert_is_passed_over_and_named(on_kafka: Cli, broker: str) -> None:
    async with KafkaPublisher(broker, client_id="test") as publisher:
        [where] = await publisher.publish_records(ALERTS_CHANGED.name, [OutgoingRecord(b"k", b"\xff", [])])
    result = await on_kafka.run("alerts", "list", "--json")
    assert result.exit_code == 0
    assert {one["fingerprint"] for one in json.loads(result.stdout)} == {DRIFT, QUALITY}
    assert f"{where} cannot be read and is passed over" in " ".join(result.stderr.split())


async def test_retrainings_are_listed_with_what_became_of_them(on_kafka: Cli, broker: str) -> None:
    asked = [
        RetrainRequested(
            request_id=f"late:drift:{number}", model="late", policy="drift", requested_at=day(number)
        )
        for number in (1, 2)
    ]
    approved = RetrainApproved(
        request_id="late:drift:1", model="late", policy="drift", approved_by="ann", approved_at=day(3)
    )
    vetoed = RetrainRefused(
        model="other",
        policy="yearly",
        refusal=RetrainRefusal.RETRAIN_REFUSAL_VETOED,
        reason="input-quality was breached.",
        refused_at=day(4),
    )
    await publish(broker, RETRAIN_REQUESTED, "late", *asked)
    await publish(broker, RETRAIN_APPROVED, "late", approved)
    await publish(broker, RETRAIN_REFUSED, "other", vetoed)
    listed = await on_kafka.read("retrain", "list")
    assert [(one["request_id"], one["state"]) for one in listed] == [
        (None, "vetoed"),
        ("late:drift:1", "approved"),
        ("late:drift:2", "requested"),
    ]
    assert len(await on_kafka.read("retrain", "list", "--model", "late")) == 2
    told = await on_kafka.show("retrain", "list")
    assert "1970-01-05T00:00:00Z vetoed other yearly - input-quality was breached." in told
    assert "1970-01-04T00:00:00Z approved late drift late:drift:1 ann" in told
