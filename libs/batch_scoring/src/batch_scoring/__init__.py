"""Scores of many past requests at once: resumable, point in time, larger than memory."""

from batch_scoring.errors import (
    BadValue,
    BatchError,
    ContractMismatch,
    EmptyInput,
    NoScore,
    OtherOutput,
    OutputInUse,
    UnknownColumn,
    UnreadableInput,
    UnwritableList,
    UnwritableOutput,
    WrongType,
)
from batch_scoring.inputs import Input
from batch_scoring.job import Job
from batch_scoring.listing import ScoreTables
from batch_scoring.opening import open_input
from batch_scoring.output import DeltaOutput, MemoryOutput, Output
from batch_scoring.planning import Choices, Lake, Plan
from batch_scoring.scoring import run

__all__ = [
    "BadValue",
    "BatchError",
    "Choices",
    "ContractMismatch",
    "DeltaOutput",
    "EmptyInput",
    "Input",
    "Job",
    "Lake",
    "MemoryOutput",
    "NoScore",
    "OtherOutput",
    "Output",
    "OutputInUse",
    "Plan",
    "ScoreTables",
    "UnknownColumn",
    "UnreadableInput",
    "UnwritableList",
    "UnwritableOutput",
    "WrongType",
    "open_input",
    "run",
]
