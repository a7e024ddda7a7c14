"""What recomputing served vectors needs of the outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bus.positions import TopicPartition
    from bus.watermarks import Watermark
    from feature_store import EventBatch
    from feature_store.contract import Contract
    from feature_store.offline import Served

    from drift_detector.domain.windows import Window

    Positions = Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Of one model and window, the sampled predictions, each id once.

    Attributes:
        answered: By version, how many requests it answered, sampled or not.
        unfit: By version, how many sampled vectors are none of the contract.
        versions: Of the others, which served each.
        served: The others, by request time.
    """

    answered: Mapping[str, int]
    unfit: Mapping[str, int]
    versions: Sequence[str]
    served: Served


class ServedLog(Protocol):
    """The lake: what was served, and the events that features saw. Used by one thread at a time.

    Every method raises `bus.errors.Unavailable` when the lake cannot be read.
    """

    def refresh(self, partitions: Collection[TopicPartition]) -> Positions:
        """Look at the newest tables; return up to which offset they hold each partition, 0 where they do not.

        What the other methods read is as of this call, or newer.
        """

    def passed(self, time_us: int) -> Mapping[int, int]:
        """Return, by partition of the predictions, the offset of the first recorded at or after a time.

        Partitions that hold none are left out.
        """

    def first_request_us(self, model: str, from_us: int) -> int | None:
        """Return the time of the first request of a model at or after a time; None when there is none."""

    def last_request_us(self, model: str) -> int | None:
        """Return the time of a model's newest request; None when there is none."""

    def sample(self, contract: Contract, window: Window, cut: Mapping[int, int], share: float) -> Sample:
        """Return what of a model's window is looked at: served, and logged before the cut of its partition.

        Args:
            contract: The model's.
            window: Of request time.
            cut: By partition, the first offset that is left out; of partitions not in it, everything is.
            share: Of the requests, 0 to 1.
        """

    def events(self, contract: Contract, served: Served) -> Mapping[str, EventBatch]:
        """Return, by topic, the events that rows of these requests may hold."""


class Ends(Protocol):
    """Where topics end."""

    async def ask(self) -> Positions:
        """Return the end of every partition of the predictions and of the sources.

        Raises:
            Unavailable: the broker is away, or a topic does not exist.
        """


class Kept(Protocol):
    """How far the archiver says it has come."""

    def __call__(self) -> Mapping[TopicPartition, Watermark]:
        """Return what is known of it; partitions that nothing was heard of are left out."""


class Told(Protocol):
    """What was told of windows of monitors of the store, by anybody."""

    async def caught_up(self) -> None:
        """Return once everything told so far is known.

        Raises:
            Unavailable: It cannot be read to its end for now.
        """

    def newest_us(self, model: str, monitor: str) -> int | None:
        """Return the start of the newest window told; None when none was."""

    def versions(self, model: str, monitor: str) -> Collection[str]:
        """Return the versions that were told of it."""
