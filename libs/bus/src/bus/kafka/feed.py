"""Reading Kafka as one member of a consumer group."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from bus.clocks import wall_clock_us
from bus.errors import Unavailable
from bus.feeds import PartitionsLost
from bus.positions import TopicPartition

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bus.feeds import Rebalances
    from bus.records import LogRecord

# One long poll covers all fetchable partitions of a broker; one that becomes fetchable meanwhile waits for
# its end.
_FETCH_MAX_WAIT_MS: Final = 50
_NOWHERE: Final = KafkaTopicPartition("", 0)


@dataclass(frozen=True, slots=True)
class Membership:
    """How long the group waits for a member.

    Attributes:
        session_timeout_ms: A member that died without leaving is replaced after so long.
        heartbeat_ms: How soon a member hears of a rebalance.
        rebalance_timeout_ms: What a member may take to finish the batch in hand when partitions move.
        max_poll_interval_ms: A handler that is stuck longer than this gives up its partitions.
    """

    session_timeout_ms: int = 10_000
    heartbeat_ms: int = 1_000
    rebalance_timeout_ms: int = 60_000
    max_poll_interval_ms: int = 300_000


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc] # the client is untyped
    def __init__(self, feed: KafkaFeed, rebalances: Rebalances) -> None:
        self._feed = feed
        self._rebalances = rebalances

    async def on_partitions_revoked(self, revoked: Iterable[KafkaTopicPartition]) -> None:
        del revoked  # the protocol is eager: all of them
        self._feed.rebalancing = True
        await self._rebalances.on_revoked()

    async def on_partitions_assigned(self, assigned: Iterable[KafkaTopicPartition]) -> None:
        partitions = list(assigned)
        self._feed.pause(partitions)
        self._feed.rebalancing = False
        self._rebalances.on_assigned([TopicPartition(*where) for where in partitions])


class KafkaFeed:
    """A member of a consumer group; it begins at the beginning where the group has no offset."""

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str], membership: Membership) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._topics = list(topics)
        self._membership = membership
        self._consumer: AIOKafkaConsumer | None = None
        self.rebalancing = True

    async def open(self, rebalances: Rebalances) -> None:
        """See `Feed.open`."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            group_id=self._group,
            client_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=_FETCH_MAX_WAIT_MS,
            fetch_min_bytes=1,
            session_timeout_ms=self._membership.session_timeout_ms,
            heartbeat_interval_ms=self._membership.heartbeat_ms,
            rebalance_timeout_ms=self._membership.rebalance_timeout_ms,
            max_poll_interval_ms=self._membership.max_poll_interval_ms,
        )
        try:
            await consumer.start()
            missing = sorted(set(self._topics) - await consumer.topics())
            if missing:
                raise Unavailable(f"topics {missing} do not exist yet: create them with ensure_topics")  # noqa: TRY301 - one way out
        except (KafkaError, OSError, Unavailable) as error:
            await consumer.stop()
            raise Unavailable(f"Kafka at {self._bootstrap}: {error}") from error
        self._consumer = consumer
        consumer.subscribe(self._topics, listener=_Listener(self, rebalances))

    async def close(self) -> None:
        """See `Feed.close`."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    def pause(self, partitions: Sequence[KafkaTopicPartition]) -> None:
        """Deliver nothing of these until `start_from`."""
        self._opened.pause(*partitions)

    async def start_from(
        self, partitions: Collection[TopicPartition], offsets: Mapping[TopicPartition, int] | None
    ) -> Mapping[TopicPartition, int]:
        """See `Feed.start_from`."""
        consumer = self._opened
        ours = [KafkaTopicPartition(*where) for where in partitions]
        try:
            if offsets is not None:
                for where in ours:
                    # An offset deleted meanwhile is out of range, which resets it to the first there is.
                    consumer.seek(where, offsets.get(TopicPartition(*where), 0))
            consumer.resume(*ours)
            return {TopicPartition(*where): await consumer.position(where) for where in ours}
        except IllegalStateError as error:
            raise PartitionsLost(f"group {self._group} moved on before it began: {error}") from error
        except KafkaError as error:
            raise Unavailable(f"could not begin to read {self._topics}: {error!r}") from error

    async def poll(
        self, timeout_ms: int, only: Collection[TopicPartition] | None = None
    ) -> Mapping[TopicPartition, Sequence[LogRecord]]:
        """See `Feed.poll`."""
        # What is there of the others is left where it is: pausing them would throw it away.
        wanted = [] if only is None else [KafkaTopicPartition(*where) for where in only] or [_NOWHERE]
        try:
            fetched = await self._opened.getmany(*wanted, timeout_ms=timeout_ms)
        except KafkaError as error:
            raise Unavailable(f"could not read {self._topics}: {error!r}") from error
        return {TopicPartition(*where): records for where, records in fetched.items()}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """See `Feed.commit`."""
        try:
            await self._opened.commit(
                {KafkaTopicPartition(*where): offset for where, offset in offsets.items()}
            )
        except (CommitFailedError, IllegalStateError) as error:
            raise PartitionsLost(f"group {self._group} moved on before the commit: {error}") from error
        except KafkaError as error:
            raise Unavailable(f"could not commit for {self._group}: {error!r}") from error

    def positions(self) -> Mapping[TopicPartition, int]:
        """See `Feed.positions`."""
        # The client's own way to ask waits for the answer, which is known for what is being delivered.
        subscription = self._opened._subscription.subscription  # noqa: SLF001
        assignment = None if subscription is None else subscription.assignment
        if assignment is None:
            return {}
        states = {where: assignment.state_value(where) for where in assignment.tps}
        return {
            TopicPartition(*where): state.position
            for where, state in states.items()
            if state.has_valid_position and not state.paused
        }

    def end_offset(self, where: TopicPartition) -> int | None:
        """See `Feed.end_offset`."""
        if self._consumer is None:
            return None
        with contextlib.suppress(IllegalStateError, AssertionError):
            end: int | None = self._consumer.highwater(KafkaTopicPartition(*where))
            return end
        return None

    def silent_ms(self) -> int:
        """See `Feed.silent_ms`."""
        consumer = self._opened
        heard_ms = [
            consumer.last_poll_timestamp(where) for where in consumer.assignment() - consumer.paused()
        ]
        newest_ms = max((one for one in heard_ms if one is not None), default=None)
        return 0 if newest_ms is None else wall_clock_us() // 1000 - newest_ms

    async def keep_alive(self) -> None:
        """See `Feed.keep_alive`."""
        # While partitions move, polling would wait for the move, which waits for the caller.
        if self._consumer is not None and not self.rebalancing:
            # What is wrong with the group is the next poll's to say.
            with contextlib.suppress(KafkaError):
                await self._consumer.getmany(_NOWHERE, timeout_ms=0)

    @property
    def _opened(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise Unavailable(f"group {self._group} has not joined")
        return self._consumer
