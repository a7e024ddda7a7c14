"""Who was erased, as commands that read old events again have to know."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import cast

from bus.dead_letters import DeadLetter
from bus.errors import MalformedEvent
from bus.topics import CATALOGUE
from feature_store import EventBatch, Project, Pseudonyms, Source
from feature_store.secret_file import pseudonyms_for
from google.protobuf.message import DecodeError
from privacy.erased import ErasedSubjects, NamesEntities
from privacy.listing import read_erased, read_erasures

from tidemark_cli.failures import WrongUsage
from tidemark_cli.lake import LakeHistory

_ENTITIES = "entities"
KnowErased = Callable[[], Awaitable[ErasedSubjects]]


def known_erased(bootstrap: str, project: Project, key_file: str) -> KnowErased:
    """Returns what asks for everybody who was erased by the time it is called.

    Raises:
        MissingKey: the project needs a key, and none is given.
    """
    pseudonyms = pseudonyms_for(project, key_file)

    async def ask() -> ErasedSubjects:
        return await read_erased(bootstrap, ErasedSubjects.of(project, pseudonyms))

    return ask


class ErasedHistory:
    """`feature_store.online.backfill_ports.History` without the events of erased subjects.

    Who was erased is asked when a source is first read: then a rebuild has noted that it has begun, and an
    erasure that comes later sees that note (`privacy.rows`).
    """

    def __init__(self, lake: LakeHistory, ask: KnowErased) -> None:
        self._lake = lake
        self._ask = ask
        self._erased: ErasedSubjects | None = None

    async def reached(self, source: Source) -> Mapping[int, int]:
        """See `History.reached`."""
        return await self._lake.reached(source)

    async def read(self, source: Source, ranges: Mapping[int, tuple[int, int]]) -> EventBatch:
        """See `History.read`."""
        if self._erased is None:
            self._erased = await self._ask()
        return self._erased.without(await self._lake.read(source, ranges))


async def of_nobody_erased(
    letters: Sequence[DeadLetter], bootstrap: str, project: Project | None, key_file: str
) -> list[DeadLetter]:
    """Returns the dead letters that are of nobody who was erased, recorded before that.

    Raises:
        WrongUsage: somebody was erased, and there is no project to tell whose letters these are.
        MissingKey: the project needs a key, and none is given.
        UnknownSecret: the erased are known by hashes of another secret.
        Unavailable: the broker is away.
    """
    erasures = await read_erasures(bootstrap)
    if not erasures:
        return list(letters)
    if project is None:
        raise WrongUsage(
            f"{len(erasures)} subjects were erased, whose letters must not be sent back: say with --project "
            "(or TIDEMARK_PROJECT) how events name them"
        )
    pseudonyms = pseudonyms_for(project, key_file)
    erased = ErasedSubjects.of(project, pseudonyms)
    for erasure in erasures:
        erased.add(erasure)
    return [letter for letter in letters if not is_erased(letter, project, erased, pseudonyms)]


def is_erased(
    letter: DeadLetter, project: Project, erased: ErasedSubjects, pseudonyms: Pseudonyms | None
) -> bool:
    """Tells whether a dead letter, as far as it can be read, is of somebody erased and of before that."""
    try:
        event = letter.event()
    except MalformedEvent:
        return False  # nobody can say whose it is; whoever reads it will refuse it again
    source = project.sources.get(letter.original.topic)
    if source is not None:
        return erased.in_payload(source, event.data, event.recorded_time_us, pseudonyms)
    kind = {topic.name: topic.message for topic in CATALOGUE}.get(letter.original.topic)
    if kind is None or _ENTITIES not in kind.DESCRIPTOR.fields_by_name:
        return False
    try:
        message = kind.FromString(event.data)
    except DecodeError:
        return False
    return erased.concerns_fact(cast("NamesEntities", message), event.recorded_time_us)
