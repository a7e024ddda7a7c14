"""Protobuf to domain and back."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from bus.events import Event
from bus.times import format_rfc3339
from google.protobuf.message import DecodeError
from tidemark.monitoring.v1 import variants_pb2 as variants
from tidemark.monitoring.v1.variants_pb2 import BinaryMetrics, ComparedMeasure, VariantsCompared
from tidemark.outcomes.v1.outcome_pb2 import OutcomeObserved
from tidemark.scoring.v1 import prediction_pb2 as proto
from tidemark.scoring.v1.prediction_pb2 import PredictionMade, PredictionResolved

from shadow_comparator.adapters.outputs import numbers_of
from shadow_comparator.domain.facts import Outcome, Prediction, Role
from shadow_comparator.domain.tasks import Task
from shadow_comparator.domain.verdicts import Verdict
from shadow_comparator.ports import UnreadableFact

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bus.received import Received
    from monitoring import Estimate

    from shadow_comparator.domain.facts import Resolved
    from shadow_comparator.domain.measures import Measure, Quality
    from shadow_comparator.domain.revisions import Compared, Stored
    from shadow_comparator.domain.tasks import ModelRules
    from shadow_comparator.ports import Reader

SOURCE: Final = "shadow_comparator"
_WATERMARK_BYTES: Final = 8
_PROTO_ROLES: Final = {
    Role.CHAMPION: proto.ROLE_CHAMPION,
    Role.CHALLENGER: proto.ROLE_CHALLENGER,
    Role.SHADOW: proto.ROLE_SHADOW,
}
_ROLES: Final = {number: role for role, number in _PROTO_ROLES.items()}
_PROTO_VERDICTS: Final = {
    Verdict.BETTER: variants.VERDICT_BETTER,
    Verdict.WORSE: variants.VERDICT_WORSE,
    Verdict.EQUIVALENT: variants.VERDICT_EQUIVALENT,
    Verdict.INSUFFICIENT: variants.VERDICT_INSUFFICIENT,
    Verdict.UNDEFINED: variants.VERDICT_UNDEFINED,
}
_PROTO_TASKS: Final = {
    Task.BINARY: variants.TASK_BINARY,
    Task.MULTICLASS: variants.TASK_MULTICLASS,
    Task.REGRESSION: variants.TASK_REGRESSION,
    Task.RANKING: variants.TASK_RANKING,
    Task.EMBEDDING: variants.TASK_EMBEDDING,
}


def reader(outcomes_topic: str, models: Mapping[str, ModelRules]) -> Reader:
    """Read what comes on the topic of outcomes as an outcome, and anything else as an answer.

    Of models and labels that `models` does not know, any finite number is read.
    """
    by_label: dict[str, list[ModelRules]] = defaultdict(list)
    for rules in models.values():
        by_label[rules.label].append(rules)

    def read(received: Received) -> Prediction | Outcome:
        if received.topic == outcomes_topic:
            return outcome_of(received.event, by_label)
        return prediction_of(received.event, models)

    return read


def prediction_of(event: Event, models: Mapping[str, ModelRules]) -> Prediction:
    """Read an answer.

    Raises:
        UnreadableFact: It is no PredictionMade, or lacks what joining needs.
    """
    try:
        message = PredictionMade.FromString(event.data)
    except DecodeError as error:
        raise UnreadableFact("MALFORMED_PAYLOAD", f"not a PredictionMade: {error}") from error
    for name in ("prediction_id", "request_key", "model", "version", "role"):
        if not getattr(message, name):
            raise UnreadableFact("MISSING_FIELD", f"PredictionMade.{name} is empty")
    if not message.HasField("request_time"):
        raise UnreadableFact("MISSING_FIELD", "PredictionMade.request_time is absent")
    rules = models.get(message.model)
    if rules is not None and rules.task is Task.BINARY and not rules.is_score(message.score):
        raise UnreadableFact("NOT_A_PROBABILITY", f"PredictionMade.score is {message.score}")
    if not math.isfinite(message.score):
        raise UnreadableFact("NOT_A_NUMBER", f"PredictionMade.score is {message.score}")
    if message.role not in _ROLES:
        raise UnreadableFact("UNKNOWN_ROLE", f"PredictionMade.role is {message.role}")
    prediction = answered(message, event.traceparent)
    if rules is None or not message.outputs:
        return prediction
    numbers = numbers_of(message.outputs, message.score, rules)
    if rules.task is Task.MULTICLASS:
        return replace(prediction, probabilities=numbers)
    return replace(prediction, embedding=numbers)


def answered(message: PredictionMade | PredictionResolved, traceparent: str | None) -> Prediction:
    """Take the answer out of a message that holds one."""
    return Prediction(
        prediction_id=message.prediction_id,
        request_key=message.request_key,
        label=message.label,
        model=message.model,
        version=message.version,
        variant=message.variant,
        role=_ROLES[message.role],
        score=message.score,
        request_time_us=message.request_time.ToMicroseconds(),
        entities=dict(message.entities),
        traceparent=traceparent,
        segment=message.segment,
        probabilities=(
            np.array(message.probabilities, "<f8").tobytes()
            if isinstance(message, PredictionResolved) and message.probabilities
            else b""
        ),
    )


def outcome_of(event: Event, by_label: Mapping[str, Sequence[ModelRules]]) -> Outcome:
    """Read an outcome; its times are the envelope's.

    Raises:
        UnreadableFact: It is no OutcomeObserved, or cannot be the truth of any model with its label.
    """
    try:
        message = OutcomeObserved.FromString(event.data)
    except DecodeError as error:
        raise UnreadableFact("MALFORMED_PAYLOAD", f"not an OutcomeObserved: {error}") from error
    for name in ("label", "request_key"):
        if not getattr(message, name):
            raise UnreadableFact("MISSING_FIELD", f"OutcomeObserved.{name} is empty")
    _check_outcome(message, by_label.get(message.label, ()))
    return Outcome(
        message.label,
        message.request_key,
        message.value,
        message.revision,
        event.time_us,
        event.recorded_time_us,
    )


def _check_outcome(message: OutcomeObserved, rules: Sequence[ModelRules]) -> None:
    found = f"OutcomeObserved has value {message.value} at revision {message.revision}"
    tasks = {one.task for one in rules}
    is_one = any(one.is_outcome(message.value) for one in rules) if rules else math.isfinite(message.value)
    if is_one and message.revision >= 0:
        return
    if tasks == {Task.BINARY}:
        raise UnreadableFact("NOT_A_BINARY_OUTCOME", f"{found}: 0 or 1 at 0 or more expected")
    if tasks == {Task.MULTICLASS}:
        most = max(one.classes for one in rules) - 1
        raise UnreadableFact("NOT_A_CLASS", f"{found}: a class from 0 to {most} at 0 or more expected")
    raise UnreadableFact("NOT_A_NUMBER", f"{found}: a finite number at 0 or more expected")


def resolved_event(resolved: Resolved) -> Event:
    """Tell that an answer met an outcome; the id follows from who met which revision."""
    prediction, outcome = resolved.prediction, resolved.outcome
    message = unresolved(prediction)
    message.outcome = outcome.value
    message.outcome_revision = outcome.revision
    message.outcome_time.FromMicroseconds(outcome.time_us)
    message.outcome_recorded_time.FromMicroseconds(outcome.recorded_time_us)
    return Event.of(
        message,
        id=f"{prediction.prediction_id}:{prediction.version}:{outcome.revision}",
        source=SOURCE,
        key=prediction.request_key,
        time_us=outcome.time_us,
        recorded_time_us=outcome.recorded_time_us,
        traceparent=prediction.traceparent,
    )


def unresolved(prediction: Prediction) -> PredictionResolved:
    """Write an answer as what it will be once it is resolved."""
    message = PredictionResolved(
        prediction_id=prediction.prediction_id,
        request_key=prediction.request_key,
        model=prediction.model,
        version=prediction.version,
        variant=prediction.variant,
        role=_PROTO_ROLES[prediction.role],
        score=prediction.score,
        entities=prediction.entities,
        label=prediction.label,
        segment=prediction.segment,
        probabilities=np.frombuffer(prediction.probabilities, "<f8").tolist(),
    )
    message.request_time.FromMicroseconds(prediction.request_time_us)
    return message


def compared_bytes(compared: Compared) -> bytes:
    """Write a comparison so that `compared_event` needs nothing else."""
    comparison = compared.comparison
    message = VariantsCompared(
        model=compared.window.model,
        revision=compared.revision,
        provisional=compared.provisional,
        paired=comparison.paired,
        requests=comparison.requests,
        label_coverage=comparison.coverage,
        champion=_metrics(comparison.champion),
        challenger=_metrics(comparison.challenger),
        agreement=comparison.agreement,
        flips=comparison.flips,
        mean_absolute_difference=comparison.mean_absolute_difference,
        verdict=_PROTO_VERDICTS[compared.judgement.verdict],
        reason=compared.judgement.reason,
        task=_PROTO_TASKS[comparison.task],
        measures=[_measure(one) for one in comparison.measures],
        loss=compared.judgement.loss,
        evidence=_estimate(compared.judgement.evidence),
    )
    message.window_start.FromMicroseconds(compared.window.start_us)
    message.window_end.FromMicroseconds(compared.window_end_us)
    return compared.watermark_us.to_bytes(_WATERMARK_BYTES) + message.SerializeToString(deterministic=True)


def compared_event(stored: Stored) -> Event:
    """Tell a comparison: true at the window's end, known at the watermark at which it was decided."""
    message = VariantsCompared.FromString(stored.event[_WATERMARK_BYTES:])
    start_us, end_us = message.window_start.ToMicroseconds(), message.window_end.ToMicroseconds()
    versions = f"{message.champion.version}:{message.challenger.version}"
    return Event.of(
        message,
        id=f"{message.model}:{versions}:{format_rfc3339(start_us)}:{message.revision}",
        source=SOURCE,
        key=message.model,
        time_us=end_us,
        recorded_time_us=int.from_bytes(stored.event[:_WATERMARK_BYTES]),
    )


def _measure(measure: Measure) -> ComparedMeasure:
    return ComparedMeasure(
        name=measure.name,
        rows=measure.rows,
        champion=_estimate(measure.champion),
        challenger=_estimate(measure.challenger),
        difference=_estimate(measure.difference),
        between=_estimate(measure.between),
    )


def _estimate(estimate: Estimate | None) -> variants.Estimate | None:
    if estimate is None:
        return None
    return variants.Estimate(value=estimate.value, lower=estimate.lower, upper=estimate.upper)


def _metrics(quality: Quality) -> BinaryMetrics:
    return BinaryMetrics(
        version=quality.version,
        labelled=quality.labelled,
        positives=quality.positives,
        roc_auc=quality.roc_auc,
        log_loss=quality.log_loss,
        brier=quality.brier,
        accuracy=quality.accuracy,
    )
