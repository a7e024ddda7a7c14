"""How features and scores are said in words, and which decisions are explained as they are made.

None of it is part of a hash: words change no vector and no row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from dataclasses import field as attribute
from string import Formatter
from typing import Final

from feature_store.errors import DefinitionError, Location, caller

KEY: Final = "key"
VALUE: Final = "value"
SHARE: Final = "%"
"""The unit of a value that is a share of one."""
_PLACES: Final = frozenset({KEY, VALUE})


@dataclass(frozen=True, slots=True)
class Words:
    """How a feature is said.

    Attributes:
        sentence: With `{value}`, and `{key}` where the feature is some entity's: "Departures from {key} ran
            {value} late in the last hour".
        unit: Of the value, such as "min"; "%" says that the value is a share of one. Empty for none.
    """

    sentence: str
    unit: str = ""
    location: Location | None = attribute(default_factory=caller, repr=False, compare=False)

    def __post_init__(self) -> None:
        try:
            places = {name for _, name, _, _ in Formatter().parse(self.sentence) if name is not None}
        except ValueError as error:
            raise self._error(f"its sentence is no template: {error}") from error
        if VALUE not in places or places - _PLACES:
            found = ", ".join(sorted(places)) or "none"
            raise self._error(f"its sentence must have {{value}} and may have {{key}}; it has: {found}")

    def _error(self, problem: str) -> DefinitionError:
        instead = 'Write Words("Departures from {key} ran {value} late in the last hour", "min").'
        return DefinitionError("Words", problem, instead=instead, at=self.location)


@dataclass(frozen=True, kw_only=True)
class ExplainWhen:
    """Which decisions of a model are explained as they are made, as events.

    Attributes:
        at_or_above: Scores from here on; None for none.
        below: Scores below; None for none.
        reasons: How many reasons of each direction are told.
    """

    at_or_above: float | None = None
    below: float | None = None
    reasons: int = 3
    location: Location | None = attribute(default_factory=caller, repr=False, compare=False)

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.at_or_above, self.below) if bound is not None]
        if not bounds or not all(map(math.isfinite, bounds)):
            self._refuse(f"at_or_above is {self.at_or_above} and below is {self.below}")
        if not 1 <= self.reasons <= 100:
            self._refuse(f"reasons is {self.reasons}, and 1 to 100 can be told")

    def asks_for(self, score: float) -> bool:
        """Tell whether a decision is to be explained."""
        above = self.at_or_above is not None and score >= self.at_or_above
        return above or (self.below is not None and score < self.below)

    def _refuse(self, problem: str) -> None:
        instead = "Write ExplainWhen(at_or_above=0.8), with the score from which a decision is explained."
        raise DefinitionError("ExplainWhen", problem, instead=instead, at=self.location)
