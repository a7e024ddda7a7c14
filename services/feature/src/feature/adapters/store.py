"""The feature store as this service's `Rows`, and as the reader of its gRPC door."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bus.errors import Unavailable
from bus.kafka.admin import committed_offsets
from feature_store.online import Applier, StoreUnavailable
from feature_store.online.ports import ReadRows
from feature_store.online.redis import RedisClaims, RedisFeatureRows, RedisRowReader, connect
from feature_store.online.redis_backfill import RedisEpochs

from feature.guarding import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import structlog
    from feature_store import EventBatch, Project
    from feature_store.online import Application
    from redis.asyncio import Redis, RedisCluster

    from feature.metrics import Metrics
    from feature.settings import FeatureSettings


_CONNECT_SECONDS: Final = 1.0


class RedisRows:
    """`Rows` in Redis. It connects when first needed, so that the process starts while Redis is away.

    Args:
        group: The consumer group whose commits say whether rows were ever written.
    """

    def __init__(
        self,
        project: Project,
        settings: FeatureSettings,
        *,
        group: str,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._project = project
        self._settings = settings
        self._group = group
        self._metrics = metrics
        self._log = log
        self._client: Redis | RedisCluster | None = None
        self._applier: Applier | None = None
        self._guard: Guard | None = None

    @property
    def not_whole_because(self) -> str | None:
        """Why events wait, where rows are lost or being replaced."""
        return self._guard.not_whole_because if self._guard is not None else None

    async def apply(self, batch: EventBatch) -> Application:
        """See `Rows.apply`."""
        try:
            client, guard = await self._connected()
            await guard.check()
            if self._applier is None:
                rows, claims = RedisFeatureRows(client), RedisClaims(client)
                views = list(self._project.views.values())
                self._applier = Applier(views, rows, claims, cached_rows=self._settings.cached_rows)
            return await self._applier.apply(batch)
        except StoreUnavailable as error:
            raise Unavailable(str(error)) from error

    async def beat(self) -> None:
        """Look whether rows were lost, though no event comes."""
        try:
            _, guard = await self._connected()
        except StoreUnavailable:
            return
        await guard.beat()

    async def _connected(self) -> tuple[Redis | RedisCluster, Guard]:
        if self._client is None or self._guard is None:
            client = await connect(self._settings.redis_url, timeout_s=self._settings.redis_timeout_s)
            if self._client is not None and self._guard is not None:
                # A batch and a beat came at once: the other was first.
                await client.aclose()
                return self._client, self._guard
            epochs = RedisEpochs(client, self._project.module)
            self._client = client
            self._guard = Guard(epochs, self._has_committed, self._forget, self._metrics, self._log)
        return self._client, self._guard

    async def _has_committed(self) -> bool:
        found = await committed_offsets(self._settings.kafka_bootstrap_servers, self._group)
        return any(offset > 0 for offset in found.values())

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
