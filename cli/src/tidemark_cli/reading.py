"""Reading a small topic of the platform's own whole, up to where it ends now."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from bus.inspect import Seen, see
from bus.kafka.reading import topic_reader
from bus.topics import Topic
from google.protobuf.message import Message

from tidemark_cli.output import note

Told = TypeVar("Told", bound=Message)


@dataclass(frozen=True, slots=True)
class Fact(Generic[Told]):
    """An event of a known type: its key, and what it says; None deletes what its key said before."""

    key: str
    message: Told | None


async def read_facts(bootstrap: str, topic: Topic, kind: type[Told]) -> list[Fact[Told]]:
    """Reads all that a topic holds, in order within each key; says on stderr what cannot be read.

    Raises:
        Unavailable: the broker is away, or the topic does not exist.
    """
    async with topic_reader(bootstrap) as reader:
        partitions = await reader.partitions(topic.name)
        starts, ends = await reader.begin_offsets(partitions), await reader.end_offsets(partitions)
        seen = [see(record, kind) async for record in reader.read(starts, ends)]
    return [fact for one in seen if (fact := fact_of(one, kind)) is not None]


def fact_of(seen: Seen, kind: type[Told]) -> Fact[Told] | None:
    """Returns what a record says; None, and a line on stderr, if that cannot be read."""
    key = (seen.record.key or b"").decode(errors="backslashreplace")
    if isinstance(seen.message, kind):
        return Fact(key, seen.message)
    if seen.event is not None and seen.event.tombstone:
        return Fact(key, None)
    note(f"{seen.where} cannot be read and is passed over: {seen.problem}")
    return None
