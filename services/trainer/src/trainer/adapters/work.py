"""Where the steps of a training leave what they made, so that one that was killed goes on where it was.

A folder a training, named by the hash of everything that decides what comes of it. A step's result is there
whole or not at all. It is the trainer's own: whoever can write into it can run code as the trainer.
"""

import hashlib
import os
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from model_package import canonical_json

Made = TypeVar("Made")


class Work:
    """Results of steps, by name."""

    def __init__(self, root: str, inputs: Mapping[str, Any]) -> None:
        self._folder = Path(root) / hashlib.sha256(canonical_json(inputs)).hexdigest()[:32]

    def step(self, name: str, make: Callable[[], Made]) -> Made:
        """Return what a step made, now or before it was killed."""
        place = self._folder / f"{name}.pickle"
        if place.exists():
            found: Made = pickle.loads(place.read_bytes())  # noqa: S301 - our own folder, see above
            return found
        made = make()
        self._folder.mkdir(parents=True, exist_ok=True)
        beside = place.with_suffix(f".{os.getpid()}")
        with beside.open("wb") as file:
            pickle.dump(made, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(place)
        return made

    def finish(self) -> None:
        """Forget it all: the training is registered."""
        shutil.rmtree(self._folder, ignore_errors=True)


class NoWork:
    """Keeps nothing: every step is done."""

    def step(self, name: str, make: Callable[[], Made]) -> Made:  # noqa: ARG002 - see Work
        """Do it."""
        return make()

    def finish(self) -> None:
        """There is nothing to forget."""
