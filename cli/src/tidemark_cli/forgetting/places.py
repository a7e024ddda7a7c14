"""Where a subject is kept, and what is there."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from batch_scoring import ScoreTables
from deltalake import DeltaTable
from feature_store import Project, View
from feature_store.online.backfill_ports import Note
from feature_store.online.keepers import feature_group
from feature_store.online.redis import RedisFeatureRows, connect
from feature_store.online.redis_backfill import RedisBackfillStore, RedisEpochs
from feature_store.online.redis_keepers import RedisKeepers
from feature_store.rows import row_key
from feature_store.subjects import rows_of
from privacy.redis import RedisErasableRows, delete_other_versions
from privacy.rows import Store
from redis.asyncio import Redis, RedisCluster
from training_sets import DatasetShelf, Manifest
from training_sets.erasing import count_rows
from training_sets.locations import uri_of

from tidemark_cli.failures import Failure
from tidemark_cli.forgetting.scores import REQUEST_KEY, UNFINISHED, ScoreTable, open_score_tables
from tidemark_cli.forgetting.tables import (
    Place,
    Subject,
    outcome_place,
    prediction_places,
    request_keys_of,
    source_places,
)
from tidemark_cli.forgetting.waiting import erase_waiting
from tidemark_cli.lake import LakeHistory

_LOOK_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """How many rows there are of a subject: by table, training set and view; and predictions that wait.

    Attributes:
        unreached: By table of scores, why it cannot be told.
    """

    tables: dict[str, int]
    unreached: dict[str, str]
    datasets: dict[str, int]
    feature_rows: dict[str, int]
    waiting_predictions: int

    def lines(self) -> Iterator[tuple[str, str, int]]:
        """Yield where, what, how many; only what there is."""
        for kind, counts in (
            ("lake", self.tables),
            ("training set", self.datasets),
            ("feature row", self.feature_rows),
            ("prediction", {"waiting for its outcome": self.waiting_predictions}),
        ):
            yield from ((kind, name, count) for name, count in counts.items() if count)

    def to_json(self) -> dict[str, Any]:
        """As it is printed for machines."""
        return {
            "tables": self.tables,
            "scores_not_reached": self.unreached,
            "datasets": self.datasets,
            "feature_rows": self.feature_rows,
            "waiting_predictions": self.waiting_predictions,
        }


@dataclass(frozen=True, slots=True)
class Places:
    """The stores of one deployment, and whom they are searched for.

    Attributes:
        key: The entity's key as rows have it.
        lake_uri: Where the lake is.
        bootstrap: Where Kafka is.
        join_prefix: Of the keys of the shadow comparator's ledger.
        plain_key: The entity's key as events carry it.
        score_uris: Tables of scores that are not listed in the lake.
    """

    project: Project
    entity: str
    key: str
    lake_uri: str
    redis_url: str
    bootstrap: str
    join_prefix: str
    plain_key: str
    score_uris: tuple[str, ...] = ()
    shelf: DatasetShelf = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shelf", DatasetShelf(self.lake_uri))

    @property
    def views(self) -> list[View]:
        """Those that keep a row of the subject.

        Raises:
            Failure: some keep rows that it shares with others.
        """
        own, shared = rows_of(self.project.views.values(), self.entity)
        if shared:
            raise Failure(
                f"views {', '.join(view.name for view in shared)} keep rows by {self.entity} and something "
                "else; rows that subjects share cannot be erased for one of them. Take the views out of the "
                "project, run `tidemark features prune`, erase, put them back and backfill them"
            )
        return own

    @property
    def columns(self) -> dict[str, str]:
        """What a training set's rows about the subject hold."""
        return {f"entity.{self.entity}": self.key}

    def subject(self, until_us: int | None) -> Subject:
        """Return whom rows are about."""
        return Subject(self.entity, self.key, until_us)

    def tables(self, until_us: int | None) -> list[tuple[DeltaTable, Place]]:
        """Open the tables that the subject may be in: those last that tell which rows of others are meant.

        Raises:
            DeltaError: one cannot be read.
        """
        subject = self.subject(until_us)
        naming = self._naming(subject)
        scored, _ = self._score_tables()
        requests = self._request_keys(naming) | self._request_keys_of_scores(scored, subject)
        scores = [(one.table, one.place(subject, self._keys, requests)) for one in scored]
        outcomes = outcome_place(subject, requests)
        table = self._open(outcomes.path)
        return [*([] if table is None else [(table, outcomes)]), *scores, *naming]

    def unreached(self) -> dict[str, str]:
        """Return why tables of scores cannot be searched, or will hold the subject again, by URI."""
        scored, unreached = self._score_tables()
        return unreached | {one.uri: UNFINISHED for one in scored if not one.finished}

    def _naming(self, subject: Subject) -> list[tuple[DeltaTable, Place]]:
        """Open the lake's tables whose rows name the subject's entity."""
        places = [*prediction_places(subject), *source_places(self.project, subject)]
        return [(table, place) for place in places if (table := self._open(place.path)) is not None]

    @property
    def _keys(self) -> frozenset[str]:
        # Given columns are written as they are, whatever the project hashes.
        return frozenset({self.key, self.plain_key})

    def _score_tables(self) -> tuple[list[ScoreTable], dict[str, str]]:
        return open_score_tables(
            [*ScoreTables(self.lake_uri).tables(), *map(uri_of, self.score_uris)], self.entity
        )

    def _request_keys_of_scores(self, scored: list[ScoreTable], subject: Subject) -> frozenset[str]:
        found: set[str] = set()
        for one in scored:
            place = one.place(subject, self._keys, frozenset())
            found |= request_keys_of(one.table, place.rows, [REQUEST_KEY])
        return frozenset(found)

    def manifests(self) -> list[Manifest]:
        """Return the training sets that are kept."""
        return [self.shelf.open(name) for name in self.shelf.names()]

    @asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """Open the feature rows.

        Raises:
            StoreUnavailable: the store is away.
        """
        client = await connect(self.redis_url)
        try:
            yield Store(
                rows=RedisFeatureRows(client),
                erasable=RedisErasableRows(client),
                epochs=RedisEpochs(client, feature_group(self.project)),
                note=lambda: _note_of_any(client, feature_group(self.project)),
                history=LakeHistory(self.lake_uri),
                pause=lambda: asyncio.sleep(_LOOK_AGAIN_SECONDS),
            )
        finally:
            await client.aclose()

    async def erase_other_versions(self) -> int:
        """Delete the subject's rows of versions that this project does not declare; return how many.

        They cannot be made again of what is left: who still keeps such a version begins the row anew.

        Raises:
            StoreUnavailable: the store is away.
        """
        client = await connect(self.redis_url)
        try:
            return await delete_other_versions(client, self.views, self.key)
        finally:
            await client.aclose()

    async def erase_waiting(self, until_us: int | None) -> int:
        """Delete predictions that wait for their outcome, see `waiting.erase_waiting`.

        Raises:
            StoreUnavailable: the store is away.
        """
        client = await connect(self.redis_url)
        try:
            return await erase_waiting(client, self.join_prefix, self.entity, self.key, until_us)
        finally:
            await client.aclose()

    async def look(self) -> Found:
        """Count what there is of the subject, and change nothing."""
        tables = await asyncio.to_thread(self._count_tables)
        unreached = await asyncio.to_thread(self.unreached)
        datasets = await asyncio.to_thread(self._count_datasets)
        async with self.store() as store:
            views = self.views
            found = await store.rows.read([row_key(view.name, view.digest, self.key) for view in views])
        rows = {view.name: int(row is not None) for view, row in zip(views, found, strict=True)}
        return Found(tables, unreached, datasets, rows, await self.erase_waiting(None))

    def _count_tables(self) -> dict[str, int]:
        return {place.path: count_rows(table, place.rows) for table, place in self.tables(None)}

    def _count_datasets(self) -> dict[str, int]:
        return {one.name: self.shelf.count(one, self.columns) for one in self.manifests()}

    def _open(self, path: str) -> DeltaTable | None:
        location = f"{self.lake_uri.rstrip('/')}/{path}"
        return DeltaTable(location) if DeltaTable.is_deltatable(location) else None

    def _request_keys(self, opened: list[tuple[DeltaTable, Place]]) -> frozenset[str]:
        found: set[str] = set()
        for table, place in opened:
            found |= request_keys_of(table, place.rows, self._request_key_fields(place.path))
        return frozenset(found)

    def _request_key_fields(self, path: str) -> list[str]:
        if not path.startswith("sources/"):
            return [REQUEST_KEY]
        topic = path.removeprefix("sources/")
        labels = [one.request_key for one in self.project.labels.values() if one.source.topic == topic]
        examples = [
            one.examples.request_key or one.label.request_key
            for one in self.project.models.values()
            if one.examples.source.topic == topic
        ]
        return sorted({*labels, *examples})


async def _note_of_any(client: Redis | RedisCluster, own: str) -> Note | None:
    """Return the note of a backfill that has begun, of whatever group."""
    groups = {own, *(keeper.group for keeper in await RedisKeepers(client).all())}
    notes = [await RedisBackfillStore(client, group).note() for group in sorted(groups)]
    return next((note for note in notes if note is not None), None)
