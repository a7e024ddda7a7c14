"""A trained version as the event that announces it."""

from dataclasses import dataclass, replace

from bus.events import Event
from google.protobuf.timestamp_pb2 import Timestamp
from model_package import Package
from tidemark.registry.v1.model_pb2 import Evaluation as EvaluationMessage
from tidemark.registry.v1.model_pb2 import GateResult as GateMessage
from tidemark.registry.v1.model_pb2 import ModelRegistered

from trainer.domain.evaluation import Evaluation
from trainer.domain.gates import GateResult
from trainer.judging import Evidence

SOURCE = "trainer"


@dataclass(frozen=True, slots=True)
class Registrant:
    """For whom a version is registered.

    Attributes:
        name: Who had it trained: approvals must come from others.
        owner: Who looks after the model.
        risk: "low", "medium" or "high".
        retrain_request_id: What asked for it; empty where somebody trained by hand.
    """

    name: str
    owner: str
    risk: str
    retrain_request_id: str = ""


def model_registered(package: Package, evidence: Evidence, registrant: Registrant) -> Event:
    """The fact that a package is where its URI says, and what is known of it.

    Its id is the digest and its times are the training cut, so that the same package is announced as the
    same fact however often it is trained.
    """
    facts = package.manifest
    message = ModelRegistered(
        model=facts.model,
        version=package.version,
        digest=package.digest,
        package_uri=package.uri,
        contract_hash=facts.contract_hash,
        dataset_snapshot=facts.dataset_snapshot,
        code_commit=facts.code_commit,
        metrics=facts.metrics,
        trained_from=_timestamp(facts.trained_from_us),
        trained_until=_timestamp(facts.trained_until_us),
        training_rows=facts.training_rows,
        algorithm=facts.algorithm,
        owner=registrant.owner,
        risk=registrant.risk,
        registered_by=registrant.name,
        retrain_request_id=registrant.retrain_request_id,
        gates=[_gate(one) for one in evidence.gates],
        evaluations=[_evaluation(one) for one in evidence.evaluations],
    )
    cut_us = facts.created_at_us
    event = Event.of(
        message, id=package.digest, source=SOURCE, key=facts.model, time_us=cut_us, recorded_time_us=cut_us
    )
    # A map is otherwise written in an order that differs from process to process.
    return replace(event, data=message.SerializeToString(deterministic=True))


def _gate(result: GateResult) -> GateMessage:
    return GateMessage(
        gate=result.gate,
        passed=result.passed,
        reason=result.reason,
        value=result.value,
        threshold=result.threshold,
    )


def _evaluation(found: Evaluation) -> EvaluationMessage:
    return EvaluationMessage(
        scope=found.scope,
        part=found.part,
        rows=found.rows,
        metrics=found.metrics,
        champion_metrics=found.champion_metrics,
    )


def _timestamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1000)
