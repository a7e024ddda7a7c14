"""A trained version as the event that announces it."""

from dataclasses import replace

from bus.events import Event
from google.protobuf.timestamp_pb2 import Timestamp
from model_package import Package
from tidemark.registry.v1.model_pb2 import ModelRegistered

SOURCE = "trainer"


def model_registered(package: Package) -> Event:
    """The fact that a package is where its URI says.

    Its id is the digest and its times are the training cut, so that the same package is announced with the
    same bytes however often it is trained.
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
    )
    cut_us = facts.created_at_us
    event = Event.of(
        message, id=package.digest, source=SOURCE, key=facts.model, time_us=cut_us, recorded_time_us=cut_us
    )
    # A map is otherwise written in an order that differs from process to process.
    return replace(event, data=message.SerializeToString(deterministic=True))


def _timestamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1000)
