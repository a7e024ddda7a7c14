"""What the trainer needs of the outside world."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

Made = TypeVar("Made")


class Steps(Protocol):
    """Hears how far a training is."""

    def begin(self, step: str) -> None:
        """A step begins; the one before it is done."""


class Memory(Protocol):
    """Remembers what the steps of one training made; a kill between two steps costs neither."""

    def step(self, name: str, make: Callable[[], Made]) -> Made:
        """Return what the step of this name made, now or earlier."""

    def finish(self) -> None:
        """Forget it: the training is over."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which code, in which environment.

    Attributes:
        code_commit: The commit, with "-dirty" behind it where files differ from it.
        environment_lock: SHA-256 of what pins every dependency, hex.
    """

    code_commit: str
    environment_lock: str
