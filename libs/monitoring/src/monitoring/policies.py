"""What a project declares to be worth asking a human for a retraining.

A declaration is a value. `retrain_trigger` evaluates it in event time; nothing is trained unapproved.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final

from monitoring.declarations import (
    Checker,
    Location,
    caller,
    did_you_mean,
    microseconds,
    require_model,
)
from monitoring.monitors import Monitor, MonitorKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_CRON_FIELDS: Final = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 7),
)
_CRON_ITEM: Final = re.compile(r"(?:\*|(?P<low>\d+)(?:-(?P<high>\d+))?)(?:/(?P<step>\d+))?")


@dataclass(frozen=True, kw_only=True)
class Policy(ABC):
    """A reason to ask for a retraining.

    Attributes:
        name: Lower-case words with dashes, unique a model.
        model: The model's name.
        algorithm: What to train; the champion's own where None.
        train_window: How much of the latest request time to learn from; all there is where None.
        cooldown: Nothing is asked for so long after a request was decided or a version registered.
        expires_after: A request that nobody decided for so long is void.
        veto_within: A data-quality breach so short a time ago forbids to retrain.
        least_label_coverage: The share of the latest matured requests that must have labels.
    """

    name: str = attribute(kw_only=False)
    model: str
    algorithm: str | None = None
    train_window: timedelta | None = None
    cooldown: timedelta = timedelta(days=14)
    expires_after: timedelta = timedelta(days=7)
    veto_within: timedelta = timedelta(days=7)
    least_label_coverage: float = 0.9
    location: Location | None = attribute(default_factory=caller, repr=False, compare=False)

    reads: ClassVar[frozenset[MonitorKind]] = frozenset()
    """The kinds of monitor that it can follow; none for a policy that follows no monitor."""

    def __post_init__(self) -> None:
        check = self.checker
        check.name("name", self.name)
        check.name("model", self.model)
        if self.algorithm is not None:
            check.name("algorithm", self.algorithm)
        if self.train_window is not None:
            check.duration("train_window", self.train_window)
        check.duration("cooldown", self.cooldown, zero=True)
        check.duration("expires_after", self.expires_after)
        check.duration("veto_within", self.veto_within, zero=True)
        check.share("least_label_coverage", self.least_label_coverage, zero=True)
        self._check_own(check)

    @property
    def checker(self) -> Checker:
        """Checks that name this declaration and its place."""
        return Checker(f"{type(self).__name__}({self.name!r})", self.location)

    @property
    def train_window_us(self) -> int | None:
        """The request time to learn from."""
        return None if self.train_window is None else microseconds(self.train_window)

    @property
    def cooldown_us(self) -> int:
        """The rest after a request."""
        return microseconds(self.cooldown)

    @property
    def expires_after_us(self) -> int:
        """How long a request waits for a decision."""
        return microseconds(self.expires_after)

    @property
    def veto_within_us(self) -> int:
        """How long a data-quality breach forbids to retrain."""
        return microseconds(self.veto_within)

    @property
    def follows(self) -> str | None:
        """The name of the monitor it follows, if it follows one."""
        return None

    @property
    def counts_labels(self) -> bool:
        """Whether it needs to know how many labels are new, which a `Performance` monitor tells."""
        return False

    @abstractmethod
    def _check_own(self, check: Checker) -> None:
        """Check what only this policy has."""


@dataclass(frozen=True, kw_only=True)
class PersistentDrift(Policy):
    """A drift monitor has been breached for several windows in a row.

    Attributes:
        monitor: The monitor's name.
        windows: How many in a row.
        least_new_labels: A retraining needs so many labelled requests that the champion has not learned from.
    """

    monitor: str
    windows: int = 3
    least_new_labels: int = 0

    reads: ClassVar[frozenset[MonitorKind]] = frozenset(
        {
            MonitorKind.FEATURE_DRIFT,
            MonitorKind.PREDICTION_DRIFT,
            MonitorKind.LABEL_DRIFT,
            MonitorKind.CONCEPT_DRIFT,
        }
    )

    @property
    def follows(self) -> str | None:
        """The name of the monitor it follows."""
        return self.monitor

    @property
    def counts_labels(self) -> bool:
        """Whether it needs to know how many labels are new."""
        return self.least_new_labels > 0

    def _check_own(self, check: Checker) -> None:
        check.count("windows", self.windows)
        check.count("least_new_labels", self.least_new_labels, least=0)


@dataclass(frozen=True, kw_only=True)
class PerformanceDecay(Policy):
    """A performance monitor has been breached for several windows in a row.

    Attributes:
        monitor: The monitor's name.
        windows: How many in a row.
    """

    monitor: str
    windows: int = 2

    reads: ClassVar[frozenset[MonitorKind]] = frozenset({MonitorKind.PERFORMANCE})

    @property
    def follows(self) -> str | None:
        """The name of the monitor it follows."""
        return self.monitor

    def _check_own(self, check: Checker) -> None:
        check.count("windows", self.windows)


@dataclass(frozen=True, kw_only=True)
class NewLabels(Policy):
    """So many labelled requests are there that the champion has not learned from.

    Attributes:
        count: How many.
    """

    count: int

    @property
    def counts_labels(self) -> bool:
        """Whether it needs to know how many labels are new."""
        return True

    def _check_own(self, check: Checker) -> None:
        check.count("count", self.count)


@dataclass(frozen=True, kw_only=True)
class Schedule(Policy):
    """It is time.

    Attributes:
        cron: Minute, hour, day of month, month and day of week, as numbers; in UTC, in event time.
    """

    cron: str

    def _check_own(self, check: Checker) -> None:
        fields = self.cron.split() if isinstance(self.cron, str) else []
        if len(fields) != len(_CRON_FIELDS):
            raise check.refuse(
                f"cron {self.cron!r} has {len(fields)} fields",
                'Write minute, hour, day of month, month and day of week, such as "0 6 1 3,9 *".',
            )
        for text, (name, low, high) in zip(fields, _CRON_FIELDS, strict=True):
            if not all(_fits(item, low, high) for item in text.split(",")):
                raise check.refuse(
                    f"cron {self.cron!r} has {text!r} for its {name}",
                    f"Write *, numbers from {low} to {high}, ranges ({low}-{high}) or steps (*/2).",
                )


def check_policies(
    policies: Iterable[Policy],
    monitors: Iterable[Monitor],
    models: Mapping[str, Collection[str]],
    algorithms: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Check a project's policies against its models and monitors.

    Args:
        policies: All of the project's.
        monitors: All of the project's, which `check_monitors` has passed.
        models: By name, each model's features by their full names.
        algorithms: By model, the names of what can be trained; None leaves algorithms unchecked.

    Raises:
        DeclarationError: A model, monitor or algorithm is unknown; a monitor is of a kind that the policy
            cannot follow; labels are to be counted and no monitor counts them; or two policies of a model
            have one name.
    """
    declared = list(monitors)
    seen: dict[tuple[str, str], Policy] = {}
    for policy in policies:
        check = policy.checker
        require_model(check, policy.model, models)
        _check_algorithm(check, policy, algorithms)
        own = {monitor.name: monitor for monitor in declared if monitor.model == policy.model}
        _check_monitor(check, policy, own)
        first = seen.setdefault((policy.model, policy.name), policy)
        if first is not policy:
            raise check.refuse(
                f"model {policy.model!r} has a policy of this name already, at {first.location}",
                "Give one of them another name.",
            )


def _check_algorithm(
    check: Checker, policy: Policy, algorithms: Mapping[str, Collection[str]] | None
) -> None:
    if algorithms is None or policy.algorithm is None:
        return
    known = algorithms.get(policy.model, ())
    if policy.algorithm not in known:
        raise check.refuse(
            f"model {policy.model!r} has no algorithm {policy.algorithm!r}",
            did_you_mean(policy.algorithm, known),
        )


def _check_monitor(check: Checker, policy: Policy, own: Mapping[str, Monitor]) -> None:
    if policy.follows is not None:
        if policy.follows not in own:
            raise check.refuse(
                f"model {policy.model!r} has no monitor {policy.follows!r}", did_you_mean(policy.follows, own)
            )
        kind = own[policy.follows].kind
        if kind not in policy.reads:
            fitting = ", ".join(monitor.name for monitor in own.values() if monitor.kind in policy.reads)
            raise check.refuse(
                f"monitor {policy.follows!r} watches {kind}, which it cannot follow",
                f"Write one of {', '.join(sorted(policy.reads))}; the model has {fitting or 'none'}.",
            )
    if policy.counts_labels and all(monitor.kind is not MonitorKind.PERFORMANCE for monitor in own.values()):
        raise check.refuse(
            f"it counts new labels, which a Performance monitor tells, and model {policy.model!r} has none",
            "Declare a Performance monitor of the model.",
        )


def _fits(item: str, low: int, high: int) -> bool:
    match = _CRON_ITEM.fullmatch(item)
    if match is None:
        return False
    numbers = [int(match[part]) for part in ("low", "high") if match[part] is not None]
    within = all(low <= number <= high for number in numbers) and numbers == sorted(numbers)
    return within and (match["step"] is None or int(match["step"]) > 0)
