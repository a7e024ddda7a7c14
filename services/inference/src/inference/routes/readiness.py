"""Versions whose features nobody keeps yet are not loaded: what they would read is not all there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_store.online.keepers import complete_versions, versions_of

from inference.routes.versions import VersionRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from feature_store import Project
    from feature_store.online.keepers import Keeper

    from inference.domain.routes import VersionRef
    from inference.ports import Versions
    from inference.routes.versions import Version

    WhoKeeps = Callable[[], Awaitable[Sequence[Keeper]]]


async def nobody() -> Sequence[Keeper]:
    """Answer for a store in which nobody is registered."""
    return ()


class ReadyVersions:
    """`Versions` that are refused while the views' versions that they read are not up to date.

    A store in which nobody of this project is registered, or that does not answer, refuses nothing: scoring
    waits for nobody. What serves already serves on.

    Args:
        versions: Loads them.
        project: Says what a model's vectors are read from.
        who_keeps: Asks who keeps which versions.
    """

    def __init__(self, versions: Versions, project: Project, who_keeps: WhoKeeps) -> None:
        self._versions = versions
        self._project = project
        self._who_keeps = who_keeps

    async def load(self, model: str, ref: VersionRef) -> Version:
        """See `Versions.load`."""
        if model in self._project.models:
            await self._check(model, ref)
        return await self._versions.load(model, ref)

    async def _check(self, model: str, ref: VersionRef) -> None:
        wanted = versions_of(self._project.contract(model).views)
        if not wanted:
            return
        keepers = [one for one in await self._who_keeps() if one.project == self._project.module]
        complete = complete_versions(keepers)
        lacking = sorted(name for name, digest in wanted.items() if (name, digest) not in complete)
        if keepers and lacking:
            raise VersionRefused(
                "VIEWS_NOT_READY",
                f"{model} {ref.version} reads {', '.join(lacking)} in a version that is not up to date yet: "
                "deploy `feature` with this project and run `tidemark features backfill`; "
                "`tidemark features versions` says how far it is",
            )
