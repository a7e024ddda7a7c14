"""The outbox in SQL: committed with what it announces, published in that order by one relay at a time.

See docs/adr/0008-outbox.md for why there is a turn to take and what happens when it is overstayed.
"""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from control_plane.adapters.sql import rows
from control_plane.adapters.sql.database import Database
from control_plane.adapters.sql.tables import outbox, outbox_turn
from control_plane.ports import Lease, Pending

_KEEP_SENT_US = 7 * 86_400 * 1_000_000
_NOT_REPEATED = frozenset({"number", "sent_at_us"})


class SqlOutbox:
    """See `ports.Outbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, lease: Lease, limit: int) -> Sequence[Pending]:
        """See `ports.Outbox.claim`."""
        query = select(outbox).where(outbox.c.sent_at_us.is_(None)).order_by(outbox.c.number).limit(limit)
        async with self._database.reading() as connection:
            if not (await connection.execute(query.limit(1))).first():
                return []
        async with self._database.writing() as connection:
            if not await _take_turn(connection, lease):
                return []
            found = (await connection.execute(query)).mappings().all()
        return [rows.to_pending(dict(row)) for row in found]

    async def mark_sent(self, numbers: Sequence[int], lease: Lease, now_us: int) -> bool:
        """See `ports.Outbox.mark_sent`; forgets what was sent over a week ago."""
        async with self._database.writing() as connection:
            if now_us >= lease.until_us or not await _give_up_turn(connection, lease):
                return False
            sent = update(outbox).where(outbox.c.number.in_(numbers)).values(sent_at_us=now_us)
            await connection.execute(sent)
            await connection.execute(delete(outbox).where(outbox.c.sent_at_us < now_us - _KEEP_SENT_US))
            return True

    async def repeat(self, pending: Sequence[Pending]) -> None:
        """See `ports.Outbox.repeat`."""
        async with self._database.writing() as connection:
            for topic, key in dict.fromkeys((item.topic, item.event.key) for item in pending):
                await _repeat_latest(connection, topic, key)

    async def unsent(self) -> int:
        """See `ports.Outbox.unsent`."""
        query = select(func.count()).select_from(outbox).where(outbox.c.sent_at_us.is_(None))
        async with self._database.reading() as connection:
            return await connection.scalar(query) or 0


async def _take_turn(connection: AsyncConnection, lease: Lease) -> bool:
    free = or_(outbox_turn.c.holder == lease.holder, outbox_turn.c.until_us <= lease.from_us)
    turn = update(outbox_turn).where(free).values(holder=lease.holder, until_us=lease.until_us)
    return (await connection.execute(turn)).rowcount == 1


async def _give_up_turn(connection: AsyncConnection, lease: Lease) -> bool:
    mine = (outbox_turn.c.holder == lease.holder) & (outbox_turn.c.until_us == lease.until_us)
    return (await connection.execute(update(outbox_turn).where(mine).values(until_us=0))).rowcount == 1


async def _repeat_latest(connection: AsyncConnection, topic: str, key: bytes) -> None:
    latest = select(func.max(outbox.c.number)).where(outbox.c.topic == topic, outbox.c.key == key)
    query = select(outbox).where(outbox.c.number == latest.scalar_subquery())
    row = (await connection.execute(query)).mappings().one()
    values = {name: value for name, value in row.items() if name not in _NOT_REPEATED}
    await connection.execute(insert(outbox).values(values))
