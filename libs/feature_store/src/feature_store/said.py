"""How the features of a vector are said in words: as they were declared, or by their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_store.definitions import Feature, Share, TimeSince
from feature_store.definitions.words import SHARE, Words

if TYPE_CHECKING:
    from feature_store.definitions import Aggregation, AnyFeature


@dataclass(frozen=True, slots=True)
class Said:
    """How one feature of a vector is said.

    Attributes:
        name: Its full name.
        entity: Whose key stands for `{key}`: the parts that requests give; empty where it is nobody's.
    """

    name: str
    words: Words
    entity: tuple[str, ...] = ()


def said(feature: AnyFeature) -> Said:
    """Return how a feature is said: in its own words, or in those of its name."""
    if not isinstance(feature, Feature):
        return named(feature.full_name) if feature.words is None else Said(feature.full_name, feature.words)
    entity = feature.view.entity.parts
    return Said(feature.full_name, feature.aggregation.words or _words_of(feature), entity)


def named(name: str) -> Said:
    """Return how a feature is said of which nothing is known but its name."""
    return Said(name, Words(f"{_spaced(name)} is {{value}}"))


def _words_of(feature: Feature) -> Words:
    sentence = f"{_spaced(feature.view.name)} of {{key}}: {_spaced(feature.name)} is {{value}}"
    return Words(sentence, _unit_of(feature.aggregation))


def _unit_of(aggregation: Aggregation) -> str:
    match aggregation:
        case Share():
            return SHARE
        case TimeSince():
            return aggregation.unit
        case _:
            return ""


def _spaced(name: str) -> str:
    return name.replace("_", " ").replace("{", "{{").replace("}", "}}")
