"""Which rows of the lake's tables are about a subject."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc
from bus.topics import CATALOGUE, SCORING_REQUESTED
from deltalake import DeltaTable
from feature_store import Project
from feature_store.subjects import named_in
from training_sets.erasing import Rows

ENTITIES = "entities"
_RECORDED = "_recorded_time"
_REQUEST_KEY = "request_key"
_REQUESTED = "request_time"
_MOMENT = pa.timestamp("us", tz="UTC")
_OUTCOMES = "outcomes_observed"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom rows are about.

    Attributes:
        entity: The entity's name.
        key: Its key as rows have it: hashed where the entity's keys are.
        until_us: Rows recorded up to then; None for all.
    """

    entity: str
    key: str
    until_us: int | None


@dataclass(frozen=True, slots=True)
class Place:
    """A table, and which of its rows are about the subject.

    Attributes:
        path: Below the lake; of a table of scores, its URI.
        spare_ns: How young files may be that belong to no version and are left alone, for their writer may
            live.
    """

    path: str
    rows: Rows
    spare_ns: int = 0


def source_places(project: Project, subject: Subject) -> Iterator[Place]:
    """Yield the sources' tables that name the subject's entity."""
    fields = named_in(project.views.values(), project.models.values()).get(subject.entity, {})
    for topic, names in sorted(fields.items()):
        yield Place(str(PurePosixPath("sources") / topic), rows_with(subject, sorted(names)))


def naming_entities() -> list[str]:
    """Return the platform's topics that are kept in the lake and whose messages name entities."""
    return [
        topic.name
        for topic in CATALOGUE
        if topic is not SCORING_REQUESTED
        and topic.message is not None
        and ENTITIES in topic.message.DESCRIPTOR.fields_by_name
    ]


def prediction_places(subject: Subject) -> Iterator[Place]:
    """Yield the platform's tables whose messages name entities: predictions, however made and resolved."""
    for name in naming_entities():
        yield Place(platform_path(name), rows_about(subject))


def outcome_place(subject: Subject, request_keys: frozenset[str]) -> Place:
    """Return which outcomes are of requests about the subject: they name the request alone."""
    keys = pa.array(sorted(request_keys), pa.string())

    def chosen(held: pa.Table) -> pa.Array:
        return _recorded(held, subject, _has(held, _REQUEST_KEY, lambda column: pc.is_in(column, keys)))

    return Place(_OUTCOMES, Rows((_REQUEST_KEY, _RECORDED), chosen))


def platform_path(topic: str) -> str:
    """Return where a platform topic is kept below the lake (docs/architecture.md, Lake)."""
    return "_".join(topic.removeprefix("tidemark.").removesuffix(".v1").split("."))


def rows_with(subject: Subject, fields: list[str]) -> Rows:
    """Return the rows one of whose fields holds the subject's key."""

    def chosen(held: pa.Table) -> pa.Array:
        named = [_has(held, name, lambda column: pc.equal(column, subject.key)) for name in fields]
        return _recorded(held, subject, reduce(pc.or_kleene, named))

    return Rows((*fields, _RECORDED), chosen, subject.key)


def rows_about(subject: Subject) -> Rows:
    """Return the rows whose map of entities names the subject."""
    entity = pa.scalar(subject.entity)

    def chosen(held: pa.Table) -> pa.Array:
        def named(column: pa.ChunkedArray) -> pa.ChunkedArray:
            return pc.equal(pc.map_lookup(column, entity, "first"), subject.key)

        of_subject = _has(held, ENTITIES, named)
        if subject.until_us is None or _REQUESTED not in held.column_names:
            return _recorded(held, subject, of_subject)
        # A prediction of before may be resolved after: it is of before all the same.
        requested = pc.less_equal(held[_REQUESTED], pa.scalar(subject.until_us, _MOMENT))
        return pc.or_kleene(_recorded(held, subject, of_subject), pc.and_kleene(of_subject, requested))

    return Rows((ENTITIES, _RECORDED, _REQUESTED), chosen, subject.key)


def request_keys_of(table: DeltaTable, rows: Rows, fields: list[str]) -> set[str]:
    """Return what the rows say are their requests' keys, in any of the fields."""
    found: set[str] = set()
    whole = table.to_pyarrow_dataset()
    there = [name for name in {*rows.columns, *fields} if name in whole.schema.names]
    for batch in whole.to_batches(columns=there):
        held = pa.Table.from_batches([batch])
        chosen = held.filter(pc.fill_null(rows.chosen(held), False))  # noqa: FBT003
        for name in fields:
            if name in there:
                found |= set(chosen[name].drop_null().to_pylist())
    return found


def _has(held: pa.Table, name: str, condition: Callable[[pa.ChunkedArray], pa.Array]) -> pa.Array:
    if name not in held.column_names:
        return pa.chunked_array([pa.nulls(held.num_rows, pa.bool_())])
    return condition(held[name])


def _recorded(held: pa.Table, subject: Subject, chosen: pa.Array) -> pa.Array:
    if subject.until_us is None:
        return chosen
    until = pa.scalar(subject.until_us, _MOMENT)
    return pc.and_kleene(chosen, pc.less_equal(held[_RECORDED], until))
