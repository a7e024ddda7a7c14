"""The feature store as this service's `Rows`, and as the reader of its gRPC door."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bus.errors import Unavailable
from feature_store.online import Applier, StoreUnavailable
from feature_store.online.keepers import feature_group, versions_of
from feature_store.online.ports import ReadRows
from feature_store.online.redis import RedisClaims, RedisFeatureRows, RedisRowReader, connect
from feature_store.online.redis_backfill import RedisEpochs
from feature_store.online.redis_keepers import RedisKeepers
from feature_store.online.staging import OwnClaims

from feature.guarding import Guard
from feature.keeping import Keeping

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import structlog
    from feature_store import EventBatch, Project, View
    from feature_store.online import Application
    from redis.asyncio import Redis, RedisCluster

    from feature.metrics import Metrics
    from feature.ports import SourceOffsets
    from feature.settings import FeatureSettings

_CONNECT_SECONDS: Final = 1.0


class RedisRows:
    """`Rows` in Redis. It connects when first needed, so that the process starts while Redis is away.

    Args:
        offsets: The sources' topics, and how far the group has come.
        now_us: The wall clock.
    """

    def __init__(
        self,
        project: Project,
        settings: FeatureSettings,
        *,
        offsets: SourceOffsets,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
        now_us: Callable[[], int],
    ) -> None:
        self._project = project
        self._settings = settings
        self._group = feature_group(project)
        self._offsets = offsets
        self._now_us = now_us
        self._metrics = metrics
        self._log = log
        self._client: Redis | RedisCluster | None = None
        self._applier: Applier | None = None
        self._guard: Guard | None = None
        self._keeping: Keeping | None = None
        self._away_because: str | None = None

    def is_complete(self, view: View) -> bool:
        """Return whether this version of a view is known to be up to date."""
        return self._keeping is not None and self._keeping.is_complete(view)

    @property
    def not_whole_because(self) -> str | None:
        """Why events wait, where rows are lost or being made, or could not be looked at before the first."""
        return (self._guard.not_whole_because if self._guard is not None else None) or self._away_because

    async def apply(self, batch: EventBatch) -> Application:
        """See `Rows.apply`."""
        try:
            client, guard = await self._connected()
            await guard.check()
            if self._applier is None:
                rows, claims = RedisFeatureRows(client), OwnClaims(RedisClaims(client), self._group)
                views = list(self._project.views.values())
                self._applier = Applier(views, rows, claims, cached_rows=self._settings.cached_rows)
            return await self._applier.apply(batch)
        except StoreUnavailable as error:
            raise Unavailable(str(error)) from error

    async def are_whole(self) -> bool:
        """Return whether events may be applied; if not, `not_whole_because` says why, where that is known."""
        try:
            _, guard = await self._connected()
            await guard.check()
        except (StoreUnavailable, Unavailable) as error:
            self._away_because = str(error)
            return False
        self._away_because = None
        return True

    async def beat(self) -> None:
        """Look whether rows were lost, though no event comes, and which versions are up to date."""
        try:
            _, guard = await self._connected()
            await guard.beat()
            if guard.is_whole and self._keeping is not None:
                await self._keeping.look()
        except (StoreUnavailable, Unavailable):
            return

    async def _connected(self) -> tuple[Redis | RedisCluster, Guard]:
        if self._client is None or self._guard is None:
            client = await connect(self._settings.redis_url, timeout_s=self._settings.redis_timeout_s)
            if self._client is not None and self._guard is not None:
                # A batch and a beat came at once: the other was first.
                await client.aclose()
                return self._client, self._guard
            self._client = client
            epochs = RedisEpochs(client, self._group)
            self._guard = Guard(epochs, self, self._forget, self._metrics, self._log)
            self._keeping = Keeping(
                RedisKeepers(client),
                self._offsets,
                group=self._group,
                project=self._project.module,
                versions=versions_of(self._project.views.values()),
                now_us=self._now_us,
            )
        return self._client, self._guard

    async def has_committed(self) -> bool:
        """See `Stream.has_committed`."""
        found = await self._offsets.commits(self._group)
        return any(offset > 0 for ends in found.values() for offset in ends.values())

    async def shortened(self) -> Sequence[str]:
        """See `Stream.shortened`: topics that some view reads."""
        read = {view.source.topic for view in self._project.views.values()}
        begins = await self._offsets.begins()
        return sorted(topic for topic, held in begins.items() if topic in read and any(held.values()))

    def _forget(self) -> None:
        """Drop the rows that were cached: what is stored was replaced."""
        self._applier = None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()


class LateRowReader:
    """`RowReader` on Redis that connects when first asked; rows are unreadable while it cannot."""

    def __init__(self, settings: FeatureSettings, on_failure: Callable[[Exception], None]) -> None:
        self._settings = settings
        self._on_failure = on_failure
        self._client: Redis | RedisCluster | None = None
        self._reader: RedisRowReader | None = None

    async def read(self, keys: Sequence[bytes]) -> ReadRows:
        """See `RowReader.read`."""
        if self._reader is None:
            try:
                # Who asks has a deadline; the next one tries again.
                async with asyncio.timeout(_CONNECT_SECONDS):
                    self._reader = await self._connect()
            except (StoreUnavailable, TimeoutError) as error:
                self._on_failure(error)
                return ReadRows([None] * len(keys), readable=False)
        return await self._reader.read(keys)

    async def _connect(self) -> RedisRowReader:
        settings = self._settings
        deadline_s = settings.redis_deadline_ms / 1000
        self._client = await connect(
            settings.redis_read_url or settings.redis_url,
            timeout_s=settings.redis_timeout_s,
            read_from_replicas=settings.redis_read_from_replicas,
        )
        return RedisRowReader(self._client, deadline_s=deadline_s, on_failure=self._on_failure)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
