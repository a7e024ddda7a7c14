from dataclasses import replace

import pytest
from control_plane.domain import approvals
from control_plane.domain.approvals import Approval, ApprovalState, Decision, Subject
from control_plane.domain.errors import (
    AlreadyDecided,
    ApprovalExpired,
    CommentRequired,
    GatesFailed,
    OwnVersion,
    UnknownGate,
)
from control_plane.domain.versions import Gate, Provenance, Version
from control_plane.testing import version

GATES = (
    Gate("golden-rows", passed=True),
    Gate("latency", passed=False, reason="9 ms against 2 ms"),
    Gate("champion-metric", passed=False, reason="0.9 against 0.5"),
)
YES, NO = Decision(approve=True, actor="bo"), Decision(approve=False, actor="bo", comment="worse for UA")


def held_to(*gates: Gate, by: str = "trainer") -> Version:
    return version("a", provenance=Provenance(registered_by=by, gates=gates))


def decide(
    decision: Decision, of: Version | None = None, *, approval: Approval | None = None, event_time_us: int = 0
) -> Approval:
    subject = of or held_to()
    approval = approval or Approval.of_version(subject, opened_at_us=1)
    return approvals.decide(approval, decision, version=subject, event_time_us=event_time_us, now_us=9)


def test_a_version_is_approved() -> None:
    decided = decide(YES)
    assert (decided.state, decided.decided_by, decided.decided_at_us) == (ApprovalState.APPROVED, "bo", 9)


def test_a_version_is_rejected_with_a_reason() -> None:
    assert decide(NO).state is ApprovalState.REJECTED
    with pytest.raises(CommentRequired, match="Rejecting version:late:a"):
        decide(replace(NO, comment=" "))


def test_nobody_approves_what_they_registered() -> None:
    with pytest.raises(OwnVersion, match="somebody else"):
        decide(YES, held_to(by="bo"))


def test_whoever_registered_a_version_may_reject_it() -> None:
    assert decide(NO, held_to(by="bo")).state is ApprovalState.REJECTED


@pytest.mark.parametrize("waived", [(), ("latency",)])
def test_a_failed_gate_holds_a_version_back(waived: tuple[str, ...]) -> None:
    with pytest.raises(GatesFailed, match=r"0\.9 against 0\.5") as refused:
        decide(replace(YES, waive_gates=waived, comment="why not"), held_to(*GATES))
    assert "champion-metric" in refused.value.gates


def test_failed_gates_are_waived_with_a_reason() -> None:
    waive = replace(YES, waive_gates=("latency", "champion-metric"))
    with pytest.raises(CommentRequired, match="Waiving"):
        decide(waive, held_to(*GATES))
    decided = decide(replace(waive, comment="a drill"), held_to(*GATES))
    assert decided.waived_gates == ("latency", "champion-metric")


@pytest.mark.parametrize("strange", ["golden-rows", "nonsense"])
def test_what_was_not_failed_cannot_be_waived(strange: str) -> None:
    waive = replace(YES, waive_gates=(strange,), comment="to be sure")
    with pytest.raises(UnknownGate, match=f"did not fail {strange}: it failed latency, champion-metric"):
        decide(waive, held_to(*GATES))


@pytest.mark.parametrize("first", [YES, NO])
@pytest.mark.parametrize("second", [YES, NO])
def test_a_decision_is_final(first: Decision, second: Decision) -> None:
    with pytest.raises(AlreadyDecided, match="by bo on 1970-01-01"):
        decide(second, approval=decide(first))


@pytest.mark.parametrize(("event_time_us", "expired"), [(0, False), (50, False), (51, True)])
def test_a_request_expires_in_event_time(event_time_us: int, *, expired: bool) -> None:
    asked = Approval("retrain:x", Subject.RETRAIN, "x", "late", 1, expires_at_us=50)
    assert asked.expired_by(event_time_us) is expired
    if expired:
        with pytest.raises(ApprovalExpired, match="given up"):
            decide(YES, approval=asked, event_time_us=event_time_us)
    else:
        assert decide(YES, approval=asked, event_time_us=event_time_us).decided
