"""What this service needs of the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from bus.watermarks import Watermark

from drift_detector.domain.sums import Summable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bus.positions import TopicPartition
    from bus.received import Received
    from monitoring.alerts import Alert

    from drift_detector.domain.alerting import Notice, Told
    from drift_detector.domain.diaries import Diary
    from drift_detector.domain.facts import Answered, Resolved
    from drift_detector.domain.figures import Measured
    from drift_detector.domain.references import Reference
    from drift_detector.domain.shares import Crowd
    from drift_detector.domain.windows import Place

Sketch = TypeVar("Sketch", bound=Summable)


class UnreadableFact(Exception):
    """An event says nothing that can be counted.

    Attributes:
        reason: UPPER_SNAKE.
        detail: What is wrong.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Reader(Protocol):
    """Reads events as facts."""

    def __call__(self, received: Received) -> Answered | Resolved | None:
        """Read an event; None for one that is nobody's business here, such as a shadow's outcome.

        Raises:
            UnreadableFact: It is none, or lacks what counting needs.
        """


class References(Protocol):
    """What versions were trained on."""

    async def of(self, model: str, version: str) -> Reference | None:
        """Return a version's reference, once routes and registrations were read to their ends.

        None when nobody named the version, or its package cannot be used.

        Raises:
            Unavailable: They cannot be read for now.
        """


@dataclass(frozen=True, slots=True)
class Held:
    """What is kept of a partition.

    Attributes:
        mark: How far it was counted.
        floor_us: Grains before it are forgotten, and counted no more.
        places: Of sketches.
        crowds: How many pieces of each crowd's log there are.
    """

    mark: Watermark = field(default_factory=lambda: Watermark(0))
    floor_us: int = 0
    places: Collection[Place] = ()
    crowds: Mapping[Crowd, int] = field(default_factory=dict)


Member = tuple[int, int]
"""An identity and its state; see `Share.members`."""


class Piece(NamedTuple):
    """A stretch of a crowd's log."""

    crowd: Crowd
    number: int


class Shares(Protocol[Sketch]):
    """What each partition of one topic came to. Every method raises `Unavailable` when that is away."""

    async def marks(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Watermark]:
        """Return how far partitions were counted; those never counted are left out."""

    async def held(self, where: TopicPartition) -> Held:
        """Say what is kept of a partition."""

    async def sketches(self, where: TopicPartition, places: Sequence[Place]) -> Mapping[Place, Sketch]:
        """Read sketches; those that are not kept are left out."""

    async def logs(self, where: TopicPartition, pieces: Sequence[Piece]) -> Mapping[Piece, list[Member]]:
        """Read pieces of logs; those that are not kept are left out."""

    async def save(
        self,
        where: TopicPartition,
        expected: int,
        mark: Watermark,
        sketches: Mapping[Place, Sketch],
        logs: Mapping[Piece, list[Member]],
    ) -> bool:
        """Replace what changed and move the mark, all as one.

        Returns:
            False, and nothing is changed, when the partition was not counted up to `expected`, but less or
            more: somebody else had it meanwhile.
        """

    async def forget(self, where: TopicPartition, before_us: int) -> None:
        """Remove grains before a time, and remember that they are gone."""


class Diaries(Protocol):
    """What was told of each model's windows."""

    async def read(self, model: str) -> Diary | None:
        """Return a model's diary; None when nothing was told yet."""

    async def write(self, model: str, diary: Diary) -> None:
        """Replace it."""


class Frontier(Protocol):
    """Where what is read ends now."""

    async def ends(self) -> Mapping[TopicPartition, int]:
        """Return the ends of the answers' partitions and of the outcomes'."""

    async def labels_up_to(self, boundary_us: int) -> int:
        """Return the boundary up to which all outcomes are counted that were known by then.

        Args:
            boundary_us: The one that answers have passed.
        """


class Announcements(Protocol):
    """The facts this service tells; each has an id of its own, the same in every repeat."""

    async def measured(self, measured: Sequence[Measured]) -> None:
        """Tell measurements, in order.

        Raises:
            Unavailable: The bus is away.
        """

    async def measured_up_to(self, marks: Mapping[TopicPartition, Watermark]) -> None:
        """Tell that everything there was to measure at these marks has been told.

        Raises:
            Unavailable: The bus is away.
        """


class Alerts(Protocol):
    """What was told of alerts, by anybody."""

    async def current(self) -> Mapping[str, Alert]:
        """Return each fingerprint's newest state, everything told so far included.

        Raises:
            Unavailable: It cannot be read to its end for now.
        """

    async def tell(self, notices: Sequence[Notice]) -> None:
        """Tell new states, in order.

        Raises:
            Unavailable: The bus is away.
        """


class MeasurementReader(Protocol):
    """Reads measurements back."""

    def __call__(self, received: Received) -> Told:
        """Read an event.

        Raises:
            UnreadableFact: It is no measurement.
        """
