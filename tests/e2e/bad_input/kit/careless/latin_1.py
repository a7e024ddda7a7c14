"""`python -m careless.latin_1 BROKER`: an upstream that writes header names in Latin-1.

It sends a good event and a bad one, and prints where they are.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from aiokafka import AIOKafkaProducer

from careless.records import departed


class Latin(str):
    """A text that encodes as Latin-1, whatever is asked."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        """Encode it."""
        return super().encode("latin-1")


async def send(bootstrap: str) -> list[tuple[int, int]]:
    """Send the events; return partitions and offsets."""
    sent = []
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for record in (departed("latin-good"), departed("latin-bad", distance_miles=-1)):
            headers = [*record.headers, (Latin("größe"), b"1")]
            where = await producer.send_and_wait(record.topic, record.value, record.key, headers=headers)
            sent.append((where.partition, where.offset))
    return sent


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(send(sys.argv[1]))))
