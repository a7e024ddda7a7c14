"""The feature store as this service's `Rows`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bus.errors import Unavailable
from feature_store.online import Applier, StoreUnavailable
from feature_store.online.redis import RedisClaims, RedisFeatureRows, connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from feature_store import EventBatch, View
    from feature_store.online import Application
    from redis.asyncio import Redis, RedisCluster

    from feature.settings import FeatureSettings


class RedisRows:
    """`Rows` in Redis. It connects when first needed, so that the process starts while Redis is away."""

    def __init__(self, views: Sequence[View], settings: FeatureSettings) -> None:
        self._views = views
        self._settings = settings
        self._client: Redis | RedisCluster | None = None
        self._applier: Applier | None = None

    async def apply(self, batch: EventBatch) -> Application:
        """See `Rows.apply`."""
        try:
            if self._applier is None:
                self._applier = await self._connect()
            return await self._applier.apply(batch)
        except StoreUnavailable as error:
            raise Unavailable(str(error)) from error

    async def _connect(self) -> Applier:
        self._client = await connect(self._settings.redis_url, timeout_s=self._settings.redis_timeout_s)
        rows, claims = RedisFeatureRows(self._client), RedisClaims(self._client)
        return Applier(self._views, rows, claims, cached_rows=self._settings.cached_rows)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
