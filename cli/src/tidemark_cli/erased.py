"""Who was erased, as commands that read old events again have to know."""

from collections.abc import Awaitable, Callable, Mapping

from feature_store import EventBatch, Project, Source
from feature_store.secret_file import pseudonyms_for
from privacy.erased import ErasedSubjects
from privacy.listing import read_erased

from tidemark_cli.lake import LakeHistory

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
    """`feature_store.online.rebuild.History` without the events of erased subjects.

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
