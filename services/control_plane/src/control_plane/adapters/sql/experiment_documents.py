"""An experiment as the JSON that a route's row keeps of it, and back; none is an empty document."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from control_plane.domain.experiments import NO_EXPERIMENT, Condition, Experiment, Segment, Share

Document = Mapping[str, Any]


def of_experiment(experiment: Experiment) -> dict[str, Any]:
    """An experiment as a document."""
    return {} if experiment == NO_EXPERIMENT else asdict(experiment)


def to_experiment(document: Document) -> Experiment:
    """A document as an experiment."""
    if not document:
        return NO_EXPERIMENT
    return Experiment(
        _shares(document["arms"]),
        tuple(
            Segment(one["name"], tuple(map(_condition, one["conditions"])), _shares(one["arms"]))
            for one in document["segments"]
        ),
        document["sticky_entity"],
    )


def _shares(documents: list[Document]) -> tuple[Share, ...]:
    return tuple(Share(**one) for one in documents)


def _condition(document: Document) -> Condition:
    any_of = document["any_of"]
    # A database may give a whole number back as an int.
    values = None if any_of is None else tuple(float(one) if type(one) is int else one for one in any_of)
    return Condition(**{**document, "any_of": values})
