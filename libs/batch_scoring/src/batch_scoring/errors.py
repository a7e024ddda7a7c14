"""Why rows are not scored: each says what was found, where, and what to do."""

import re
from typing import Final

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


class BatchError(Exception):
    """The inputs do not allow it; the same command fails again until they change."""


class UnreadableInput(BatchError):
    """The input is not there, is no Parquet and no Delta table, or a file of it is damaged."""


class EmptyInput(BatchError):
    """The input holds no row."""


class UnknownColumn(BatchError):
    """A column that is needed, or was named, is not in the input."""


class WrongType(BatchError):
    """A column's type is not what it is read as."""


class BadValue(BatchError):
    """A row holds what no request may: a null, a NaN, a time out of bounds, a text that is too long."""


class NoScore(BatchError):
    """The model gave a row no finite score."""


class ContractMismatch(BatchError):
    """The package reads other features than the project declares."""


class OtherOutput(BatchError):
    """What is at the output was made from another input, by another version, or by somebody else."""


class OutputInUse(BatchError):
    """Another run writes to the same output."""


class UnwritableList(BatchError):
    """The output cannot be noted in the lake, where an erasure would find it."""


class UnwritableOutput(BatchError):
    """The output cannot be written: the store refuses, or is away."""


def cause_of(error: Exception) -> str:
    """Return what delta-rs says went wrong: its first line, and the causes that it draws as a tree below.

    Behind them it may list where it was in its own code.
    """
    first, *others = _COLOUR.sub("", str(error)).splitlines() or [""]
    causes = [line.partition("↳")[2].strip() for line in others if line.lstrip().startswith("↳")]
    return ": ".join([first, *causes])
