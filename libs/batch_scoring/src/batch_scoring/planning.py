"""From what is asked to what will be done: what is wrong without any row being read is told here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
from feature_store import DefinitionError
from feature_store.concealment import Concealment
from model_package import Scorer

from batch_scoring.columns import REQUEST_KEY, REQUEST_TIME, bind, bind_given
from batch_scoring.concealing import Concealed
from batch_scoring.errors import ContractMismatch, OtherOutput, UnknownColumn
from batch_scoring.features import GivenFeatures, LakeFeatures
from batch_scoring.job import Job
from batch_scoring.keeping import MOMENT, kept_as
from batch_scoring.lake import PinnedEvents, pin
from batch_scoring.model_outputs import fields_of, specs_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from feature_store import Contract, Project, Pseudonyms
    from model_package import Package

    from batch_scoring.columns import Columns, Nulls
    from batch_scoring.features import Features
    from batch_scoring.inputs import Input
    from batch_scoring.output import Output

BATCH_ROWS = 32_768
"""Rows in hand at once: the same rows whenever a job runs, so that a model meets the same batches."""

PREDICTION_ID, SCORE, STATUSES, VECTOR = "prediction_id", "score", "feature_statuses", "features"
_CONSTANTS = ("model", "version", "digest", "contract_hash")
_RESERVED = (PREDICTION_ID, REQUEST_KEY, REQUEST_TIME, SCORE, STATUSES, VECTOR, *_CONSTANTS)


@dataclass(frozen=True, slots=True)
class Choices:
    """How rows are read and what is written.

    Attributes:
        columns: Role to column, where names do not tell: see `columns.bind` and `columns.bind_given`.
        keep: Columns to write beside the scores; those that requests are made of when None.
        vectors: Whether vectors are written too.
        nulls: Whether a null is refused, or what reads it is MISSING.
        at_us: The time of every request; None where each row has its own.
        batch_rows: See `BATCH_ROWS`.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] | None = None
    vectors: bool = False
    nulls: Nulls = "refuse"
    at_us: int | None = None
    batch_rows: int = BATCH_ROWS

    def to_json(self) -> dict[str, Any]:
        """As it stands in a job."""
        keep = None if self.keep is None else list(self.keep)
        told = {"columns": dict(self.columns), "keep": keep, "vectors": self.vectors, "nulls": self.nulls}
        return {**told, "as_of_us": self.at_us, "batch_rows": self.batch_rows}


@dataclass(frozen=True, slots=True)
class Lake:
    """Where features come from that the input does not hold.

    Attributes:
        uri: The archiver's lake.
        project: Declares the features.
        pseudonyms: What the project's sensitive fields are hashed with; None where it has none.
    """

    uri: str
    project: Project
    pseudonyms: Pseudonyms | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A job, ready to run.

    Attributes:
        job: What it is.
        done: Rows of the input that the output already has.
        schema: Of the output.
    """

    job: Job
    done: int
    input: Input
    choices: Choices
    columns: Columns
    features: Features
    concealed: Concealed
    scorer: Scorer
    schema: pa.Schema

    @property
    def is_new(self) -> bool:
        """Whether nothing of it was done."""
        return self.done == 0

    @classmethod
    def of_given(
        cls,
        rows: Input,
        package: Package,
        output: Output,
        choices: Choices,
        contract: Contract | None = None,
        *,
        concealment: Concealment | None = None,
        label: str = "",
    ) -> Self:
        """Plan to score vectors that the input holds.

        Args:
            rows: The input.
            package: The version that scores.
            output: Where to.
            choices: How.
            contract: Of the model, which says what stands for a null; nulls are refused without it.
            concealment: What a project hashes; None where nothing is sensitive, or no project is known.
            label: The model's label, whose request key may be hashed.

        Raises:
            BatchError: it cannot be done.
            PackageError: the package cannot be used.
        """
        names = package.manifest.feature_names
        if contract is not None:
            check_contract(package, contract)
        if choices.nulls == "missing" and contract is None:
            raise ContractMismatch(
                "--nulls missing puts a feature's default where there is none, which the project declares: "
                "name it with --project"
            )
        columns = bind_given(
            package.manifest.model,
            names,
            rows.schema,
            choices.columns,
            kept=choices.keep,
            timed=choices.at_us is None,
        )
        defaults = contract.defaults if contract is not None and choices.nulls == "missing" else None
        features = GivenFeatures(columns.features, defaults)
        job = _job(rows, package, choices, "given")
        concealed = Concealed.of_given(columns, concealment, label)
        return cls._of(rows, package, output, choices, job, columns, features, concealed)

    @classmethod
    def of_lake(cls, rows: Input, package: Package, output: Output, choices: Choices, lake: Lake) -> Self:
        """Plan to score vectors made from the lake, as of each row's time.

        Raises:
            BatchError: it cannot be done.
            PackageError: the package cannot be used.
            DatasetError: the lake does not hold what is needed.
            MissingKey: the project has sensitive fields, and there is no key to hash with.
        """
        contract = contract_of(lake.project, package.manifest.model)
        check_contract(package, contract)
        timed = choices.at_us is None
        columns = bind(contract, rows.schema, choices.columns, kept=choices.keep, timed=timed)
        concealment = Concealment.of(lake.project, lake.pseudonyms)
        concealed = Concealed.of(columns, concealment, lake.project.models[contract.model].label.name)
        job = _job(rows, package, choices, "lake")
        kept = _kept(output, job)
        pinned = pin(lake.uri, contract) if kept is None else kept[0].lake
        job = Job(job.asked, pinned)
        features = LakeFeatures(
            contract,
            PinnedEvents(lake.uri, contract, pinned),
            columns,
            nulls=choices.nulls,
            at_us=choices.at_us,
        )
        return cls._of(rows, package, output, choices, job, columns, features, concealed)

    @classmethod
    def _of(  # noqa: PLR0913, PLR0917 - its fields, as far as they are known
        cls,
        rows: Input,
        package: Package,
        output: Output,
        choices: Choices,
        job: Job,
        columns: Columns,
        features: Features,
        concealed: Concealed | None = None,
    ) -> Self:
        rows.check(columns.read)
        scorer = Scorer(package)
        scorer.warm()
        kept = _kept(output, job)
        done = 0 if kept is None else kept[1]
        schema = _schema_of(rows.schema, columns, scorer, choices)
        hidden = concealed or Concealed((), None)
        return cls(job, done, rows, choices, columns, features, hidden, scorer, schema)


def contract_of(project: Project, model: str) -> Contract:
    """Return a model's contract.

    Raises:
        ContractMismatch: the project has no such model.
    """
    try:
        return project.contract(model)
    except (KeyError, DefinitionError):
        known = ", ".join(project.models) or "none"
        raise ContractMismatch(f"project {project.module} has no model {model!r}; it has {known}") from None


def check_contract(package: Package, contract: Contract) -> None:
    """Refuse a package that reads other features than the project declares.

    Raises:
        ContractMismatch: it does.
    """
    if package.manifest.contract_hash != contract.hash.hex():
        raise ContractMismatch(
            f"version {package.version} reads features by contract {package.manifest.contract_hash[:12]}, "
            f"the project's {contract.model} is {contract.hash.hex()[:12]}: check out the code that it was "
            "trained with, or name a version of this one"
        )


def _job(rows: Input, package: Package, choices: Choices, features: str) -> Job:
    manifest = package.manifest
    asked = {
        "model": manifest.model,
        "version": package.version,
        "digest": package.digest,
        "contract": manifest.contract_hash,
        "features": features,
        "input": rows.identity,
        **choices.to_json(),
    }
    return Job(asked, {})


def _kept(output: Output, job: Job) -> tuple[Job, int] | None:
    kept = output.look()
    if kept is not None and kept[0].id != job.id:
        told = "; ".join(job.differences(kept[0]))
        raise OtherOutput(
            f"the output was made by another job: it has {told}. Name another --output, or ask for what it "
            "has (--version, --input-version)"
        )
    return kept


def _schema_of(rows: pa.Schema, columns: Columns, scorer: Scorer, choices: Choices) -> pa.Schema:
    taken = [
        name
        for name in columns.kept
        if name in _RESERVED and name not in {columns.request_key, columns.request_time}
    ]
    if taken:
        raise UnknownColumn(
            f"--keep {taken[0]}: the output has a column of this name already; keep it under another name"
        )
    return pa.schema(
        [
            pa.field(PREDICTION_ID, pa.string()),
            pa.field(REQUEST_KEY, pa.string()),
            pa.field(REQUEST_TIME, MOMENT),
            *(kept_as(rows.field(name)) for name in columns.kept if name not in _RESERVED),
            pa.field(SCORE, pa.float64()),
            *fields_of(specs_of(scorer)),
            *(pa.field(name, pa.string()) for name in _CONSTANTS),
            pa.field(STATUSES, pa.binary()),
            *([pa.field(VECTOR, pa.list_(pa.float32()))] if choices.vectors else []),
        ]
    )
