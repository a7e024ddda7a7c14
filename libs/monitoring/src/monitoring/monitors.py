"""What a project declares to be watched: of which model, over which windows, and when somebody is to be told.

A declaration is a value. `drift_detector` measures its windows; its alerts live as `monitoring.alerts` says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, runtime_checkable

from monitoring.alerts import Rules
from monitoring.declarations import (
    Checker,
    Location,
    caller,
    did_you_mean,
    microseconds,
    require_model,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

METRICS: Final[Mapping[str, tuple[str, ...]]] = {
    "binary": ("roc_auc", "log_loss", "brier", "accuracy"),
    "multiclass": ("log_loss", "accuracy"),
    "regression": ("rmse", "mae", "bias", "r_squared"),
}
"""By task; outcomes say nothing of models of other tasks."""
DETECTORS: Final = ("adwin", "page-hinkley")


class MonitorKind(StrEnum):
    """What a monitor watches; the names are `tidemark.monitoring.v1.MonitorKind`'s."""

    DATA_QUALITY = "DATA_QUALITY"
    FEATURE_DRIFT = "FEATURE_DRIFT"
    PREDICTION_DRIFT = "PREDICTION_DRIFT"
    LABEL_DRIFT = "LABEL_DRIFT"
    PERFORMANCE = "PERFORMANCE"
    CONCEPT_DRIFT = "CONCEPT_DRIFT"
    CONSISTENCY = "CONSISTENCY"
    FRESHNESS = "FRESHNESS"


class Severity(StrEnum):
    """How urgent an alert is; the names are `tidemark.monitoring.v1.Severity`'s."""

    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


@runtime_checkable
class Named(Protocol):
    """A feature as a project holds it: an object that knows its full name."""

    @property
    def full_name(self) -> str:
        """The name in contracts, vectors and profiles."""
        ...


@dataclass(frozen=True, kw_only=True)
class Monitor(ABC):
    """A question asked of each window of a model's requests.

    Attributes:
        name: Lower-case words with dashes, unique a model.
        model: The model's name.
        owner: Who is told; the model's owner where it is empty.
        severity: Of its alerts.
        window: Requests of this much event time are measured together; windows are aligned to the epoch.
        minimum_rows: A window, or a subject in it, with fewer is not judged.
        fire_after: Breached windows in a row before an alert fires.
        clear_after: Clear windows in a row before it is resolved.
        clear_at: A window is clear when every figure is within this share of its threshold: an alert must
            not end on the first figure that is just no breach.
    """

    name: str = attribute(kw_only=False)
    model: str
    owner: str = ""
    severity: Severity = Severity.WARNING
    window: timedelta = timedelta(days=1)
    minimum_rows: int = 500
    fire_after: int = 1
    clear_after: int = 1
    clear_at: float = 0.8
    location: Location | None = attribute(default_factory=caller, repr=False, compare=False)

    kind: ClassVar[MonitorKind]

    def __post_init__(self) -> None:
        check = self.checker
        check.name("name", self.name)
        check.name("model", self.model)
        check.one_of("severity", self.severity, Severity)
        check.duration("window", self.window)
        check.count("minimum_rows", self.minimum_rows)
        check.count("fire_after", self.fire_after)
        check.count("clear_after", self.clear_after)
        check.share("clear_at", self.clear_at)
        self._check_own(check)

    @property
    def checker(self) -> Checker:
        """Checks that name this declaration and its place."""
        return Checker(f"{type(self).__name__}({self.name!r})", self.location)

    @property
    def window_us(self) -> int:
        """The window's length."""
        return microseconds(self.window)

    @property
    def rules(self) -> Rules:
        """How its alerts begin and end."""
        return Rules(self.fire_after, self.clear_after)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The features it is about; None for all of the model's."""
        return None

    @abstractmethod
    def _check_own(self, check: Checker) -> None:
        """Check what only this kind has."""


@dataclass(frozen=True, kw_only=True)
class DataQuality(Monitor):
    """Is what comes in whole? Shares of rows, as they rise above the reference's.

    Attributes:
        missing: Rise of a feature's missing share.
        out_of_range: Rise of the share of a feature's values that lie further outside the training set's
            extremes than these are apart. (Spring is warmer than any day of winter, and no fault.)
        new_categories: Rise of the share of rows with a value of a slice that training never saw.
        features: Those to look at; all where None.
    """

    missing: float = 0.10
    out_of_range: float = 0.05
    new_categories: float = 0.02
    features: Sequence[str | Named] | None = None

    kind: ClassVar[MonitorKind] = MonitorKind.DATA_QUALITY

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The features it is about; None for all of the model's."""
        return _names_of(self.features)

    def _check_own(self, check: Checker) -> None:
        check.share("missing", self.missing)
        check.share("out_of_range", self.out_of_range)
        check.share("new_categories", self.new_categories)
        _check_features(check, self.features)


@dataclass(frozen=True, kw_only=True)
class FeatureDrift(Monitor):
    """Are the features distributed as they were in training?

    Attributes:
        psi: A feature breaches above this, or above what windows of its own training set reached against
            the rest, whichever is more.
        least_features: So many features breach before the monitor does.
        features: Those to look at; all where None.
    """

    window: timedelta = timedelta(days=7)
    psi: float = 0.25
    least_features: int = 1
    features: Sequence[str | Named] | None = None

    kind: ClassVar[MonitorKind] = MonitorKind.FEATURE_DRIFT

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The features it is about; None for all of the model's."""
        return _names_of(self.features)

    def _check_own(self, check: Checker) -> None:
        check.positive("psi", self.psi)
        check.count("least_features", self.least_features)
        _check_features(check, self.features)
        if self.features is not None and self.least_features > len(self.features):
            raise check.refuse(
                f"least_features is {self.least_features}, of {len(self.features)} features",
                "It could never breach: name more features, or ask for fewer.",
            )


@dataclass(frozen=True, kw_only=True)
class PredictionDrift(Monitor):
    """Are the scores distributed as on the holdout?

    Attributes:
        psi: The monitor breaches above this.
    """

    window: timedelta = timedelta(days=7)
    psi: float = 0.25

    kind: ClassVar[MonitorKind] = MonitorKind.PREDICTION_DRIFT

    def _check_own(self, check: Checker) -> None:
        check.positive("psi", self.psi)


@dataclass(frozen=True, kw_only=True)
class _Labelled(Monitor):
    """A monitor that waits for outcomes.

    Attributes:
        coverage: A window is final when this share of its requests has a label, or by `maturity`.
        maturity: The age, counted from its end, at which a window is final whatever its coverage.
    """

    coverage: float = 0.97
    maturity: timedelta = timedelta(days=2)

    @property
    def maturity_us(self) -> int:
        """The age at which a window is final."""
        return microseconds(self.maturity)

    def _check_own(self, check: Checker) -> None:
        check.share("coverage", self.coverage)
        check.duration("maturity", self.maturity, zero=True)


@dataclass(frozen=True, kw_only=True)
class LabelDrift(_Labelled):
    """Are outcomes as they were in training: positives as frequent, each class, or the mean of a regression?

    Attributes:
        change: The monitor breaches when the positive rate, or a class's share, is further than this from
            training's, up or down; of a regression the mean outcome, in standard deviations of training's
            labels.
    """

    window: timedelta = timedelta(days=7)
    change: float = 0.10

    kind: ClassVar[MonitorKind] = MonitorKind.LABEL_DRIFT

    def _check_own(self, check: Checker) -> None:
        super()._check_own(check)
        check.share("change", self.change)


@dataclass(frozen=True, kw_only=True)
class Performance(_Labelled):
    """Are the scores as good as on the holdout? Overall is judged; slices are reported.

    Attributes:
        metric: What is judged, of the model's task: "roc_auc", "log_loss", "brier" or "accuracy" of two
            classes, "log_loss" or "accuracy" of many, "rmse", "mae", "bias" or "r_squared" of a regression.
        worse_by: The monitor breaches when the metric is worse than the holdout's by more than this. Errors
            of a regression are in the label's unit, so for "rmse" and "mae" it is a share of the holdout's,
            and for "bias", which is judged either way, of the holdout's "rmse".
    """

    window: timedelta = timedelta(days=7)
    metric: str = "roc_auc"
    worse_by: float = 0.05

    kind: ClassVar[MonitorKind] = MonitorKind.PERFORMANCE

    def _check_own(self, check: Checker) -> None:
        super()._check_own(check)
        check.one_of(
            "metric", self.metric, [*dict.fromkeys(name for names in METRICS.values() for name in names)]
        )
        check.positive("worse_by", self.worse_by)


@dataclass(frozen=True, kw_only=True)
class ConceptDrift(_Labelled):
    """Did the stream of errors change? Detectors read the mean error of each step, in order.

    Attributes:
        detectors: Of "adwin" and "page-hinkley"; the monitor breaches when one of them sees a change.
        step: The request time behind one mean error; a window is a whole number of steps.
    """

    detectors: Sequence[str] = DETECTORS
    step: timedelta = timedelta(days=1)

    kind: ClassVar[MonitorKind] = MonitorKind.CONCEPT_DRIFT

    @property
    def step_us(self) -> int:
        """The step's length."""
        return microseconds(self.step)

    def _check_own(self, check: Checker) -> None:
        super()._check_own(check)
        if isinstance(self.detectors, str) or not self.detectors:
            raise check.refuse(
                f"detectors is {self.detectors!r}", 'Write a tuple, such as ("adwin", "page-hinkley").'
            )
        for detector in self.detectors:
            check.one_of("a detector", detector, DETECTORS)
        check.duration("step", self.step)
        if self.window % self.step:
            raise check.refuse(
                f"its window of {self.window} is no whole number of steps of {self.step}",
                "Write a step that divides the window.",
            )


def check_monitors(
    monitors: Iterable[Monitor], models: Mapping[str, Collection[str]], tasks: Mapping[str, str]
) -> None:
    """Check a project's monitors against its models.

    Args:
        monitors: All of the project's.
        models: By name, each model's features by their full names.
        tasks: By name, each model's task.

    Raises:
        DeclarationError: A model or a feature is unknown, two monitors of a model have one name, or one has
            no meaning for its model's task.
    """
    seen: dict[tuple[str, str], Monitor] = {}
    for monitor in monitors:
        check = monitor.checker
        require_model(check, monitor.model, models)
        for name in monitor.feature_names or ():
            if name not in models[monitor.model]:
                raise check.refuse(
                    f"model {monitor.model!r} has no feature {name!r}",
                    did_you_mean(name, models[monitor.model]),
                )
        _check_task(monitor, tasks[monitor.model])
        first = seen.setdefault((monitor.model, monitor.name), monitor)
        if first is not monitor:
            raise check.refuse(
                f"model {monitor.model!r} has a monitor of this name already, at {first.location}",
                "Give one of them another name.",
            )


def _check_task(monitor: Monitor, task: str) -> None:
    if not isinstance(monitor, _Labelled):
        return
    metrics = METRICS.get(task)
    if metrics is None:
        raise monitor.checker.refuse(
            f"model {monitor.model!r} is of task {task!r}, of which no outcome says how good it is",
            "Remove this monitor; PredictionDrift watches the scores.",
        )
    if isinstance(monitor, Performance) and monitor.metric not in metrics:
        raise monitor.checker.refuse(
            f"metric is {monitor.metric!r}, which has no meaning for a model of task {task!r}",
            f"Write one of {', '.join(map(repr, metrics))}.",
        )


def _names_of(features: Sequence[str | Named] | None) -> tuple[str, ...] | None:
    if features is None:
        return None
    return tuple(feature if isinstance(feature, str) else feature.full_name for feature in features)


def _check_features(check: Checker, features: Sequence[str | Named] | None) -> None:
    if features is None:
        return
    if isinstance(features, str) or not features:
        raise check.refuse(f"features is {features!r}", "Write a list of features, or leave it out for all.")
    for feature in features:
        if not isinstance(feature, str | Named):
            raise check.refuse(f"{feature!r} is no feature", "Write its full name, or MyView.my_aggregation.")
