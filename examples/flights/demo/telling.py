"""What happened, in sentences: for the terminal as it happens, and for the report's timeline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import TYPE_CHECKING, Final

from google.protobuf.message import Message  # noqa: TC002 - singledispatch reads annotations
from tidemark.governance.v1.approval_pb2 import ApprovalDecided, Decision, SubjectKind
from tidemark.monitoring.v1.alert_pb2 import AlertChanged, AlertState
from tidemark.registry.v1.model_pb2 import ModelRegistered
from tidemark.registry.v1.rollout_pb2 import RolloutChanged, RolloutState
from tidemark.retraining.v1.retrain_pb2 import (
    RetrainApproved,
    RetrainRefusal,
    RetrainRefused,
    RetrainRequested,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from examples.flights.demo.chronicle import Entry

ALERT, RETRAIN, APPROVAL = "alert", "retrain", "approval"
RELEASE, FAULT, PERSON = "release", "fault", "person"
_PER_CENT: Final = 100


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened, in event time.

    Attributes:
        kind: Whose lane of the timeline it is in.
        text: A sentence.
        is_bad: Whether somebody should look.
    """

    time_us: int
    kind: str
    text: str
    is_bad: bool = False


def happenings(entries: Iterable[Entry]) -> list[Happening]:
    """What of the facts is worth telling, in the order given."""
    told = [_tell(entry.message, entry.time_us) for entry in entries]
    return [happening for happening in told if happening is not None]


@singledispatch
def _tell(_said: Message, _time_us: int) -> Happening | None:
    return None


@_tell.register
def _alert(said: AlertChanged, time_us: int) -> Happening | None:
    what = said.fingerprint.partition(":")[2]
    if said.state == AlertState.ALERT_STATE_FIRING and said.changed_at == said.firing_since:
        text = f"{what} fires: {said.summary} ({said.runbook})"
        return Happening(time_us, ALERT, text, is_bad=True)
    if said.state == AlertState.ALERT_STATE_RESOLVED and said.HasField("firing_since"):
        return Happening(time_us, ALERT, f"{what} is resolved: {said.summary}")
    return None


@_tell.register
def _requested(said: RetrainRequested, time_us: int) -> Happening:
    return Happening(time_us, RETRAIN, f"{said.policy} asks for a retraining: {said.reason}")


@_tell.register
def _approved(said: RetrainApproved, time_us: int) -> Happening:
    until = said.train_until.ToDatetime()
    text = f"retraining approved by {said.approved_by}: on what is known by {until:%d %b}"
    return Happening(time_us, RETRAIN, text)


@_tell.register
def _refused(said: RetrainRefused, time_us: int) -> Happening:
    refusal = RetrainRefusal.Name(said.refusal).removeprefix("RETRAIN_REFUSAL_").lower().replace("_", " ")
    return Happening(time_us, RETRAIN, f"{said.policy}: no retraining, {refusal}: {said.reason}", is_bad=True)


@_tell.register
def _registered(said: ModelRegistered, time_us: int) -> Happening:
    failed = [gate.gate for gate in said.gates if not gate.passed]
    gates = f"failed {', '.join(failed)}" if failed else f"passed {len(said.gates)} gates"
    text = f"{said.version} registered by {said.registered_by}, {gates if said.gates else 'held to no gate'}"
    return Happening(time_us, RELEASE, text, is_bad=bool(failed))


@_tell.register
def _decided(said: ApprovalDecided, time_us: int) -> Happening:
    what = "the retraining" if said.kind == SubjectKind.SUBJECT_KIND_RETRAIN else said.subject_id
    verb = "approves" if said.decision == Decision.DECISION_APPROVED else "rejects"
    comment = f": {said.comment}" if said.comment else ""
    return Happening(time_us, APPROVAL, f"{said.decided_by} {verb} {what}{comment}")


@_tell.register
def _rolled(said: RolloutChanged, time_us: int) -> Happening:
    state = RolloutState.Name(said.state).removeprefix("ROLLOUT_STATE_").lower()
    share = f" at {said.weight_basis_points / _PER_CENT:g} %" if state == "canary" else ""
    text = f"{said.version}: {state}{share}: {said.reason}"
    return Happening(time_us, RELEASE, text, is_bad=state == "aborted")
