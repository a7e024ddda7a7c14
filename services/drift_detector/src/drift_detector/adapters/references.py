"""References out of the packages that routes and registrations name."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from bus.errors import Unavailable
from google.protobuf.message import DecodeError
from model_package import PackageError
from monitoring.profiles import MalformedProfile, ReferenceProfile
from tidemark.registry.v1.model_pb2 import ModelRegistered
from tidemark.registry.v1.route_pb2 import RouteChanged

from drift_detector.domain.references import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bus.follow import Follower
    from bus.received import Received
    from model_package import Package, Packages

_log: Final = logging.getLogger(__name__)


class Named(NamedTuple):
    """A version, and where its package is."""

    model: str
    version: str
    digest: str
    package_uri: str


class NamedVersions:
    """Which versions were named on routes and registrations; `Follower`s call it."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], Named] = {}

    async def on_route(self, received: Received) -> None:
        """Take a route's arms and shadows in."""
        if not received.event.tombstone:
            self._take(received, _in_route)

    async def on_registered(self, received: Received) -> None:
        """Take a registered version in."""
        self._take(received, _in_registration)

    def _take(self, received: Received, read: Callable[[bytes], Iterator[Named]]) -> None:
        try:
            found = list(read(received.event.data))
        except DecodeError as error:
            _log.warning(
                "passed over an unreadable record of %s@%d: %s", received.topic, received.offset, error
            )
            return
        self.found.update({(one.model, one.version): one for one in found})


class PackagedReferences:
    """`References` from a package store; what was opened is kept.

    Args:
        followers: Those that fill `named`.
        slices: By model, the names of the slices.
    """

    def __init__(
        self,
        packages: Packages,
        named: NamedVersions,
        followers: Sequence[Follower],
        slices: Mapping[str, Sequence[str]],
    ) -> None:
        self._packages = packages
        self._named = named
        self._followers = followers
        self._slices = slices
        self._opened: dict[tuple[str, str], Reference | None] = {}

    async def of(self, model: str, version: str) -> Reference | None:
        """See `References.of`."""
        key = model, version
        if key not in self._opened:
            if key not in self._named.found:
                for follower in self._followers:
                    await follower.caught_up()
            self._opened[key] = await self._open(model, self._named.found.get(key), version)
        return self._opened[key]

    async def _open(self, model: str, named: Named | None, version: str) -> Reference | None:
        if named is None:
            _log.warning("nobody named version %s of %s: it is counted without a reference", version, model)
            return None
        try:
            return await asyncio.to_thread(self._read, named)
        except OSError as error:
            raise Unavailable(f"the package store does not answer: {error!r}; check PACKAGES_URI") from error
        except (PackageError, MalformedProfile) as error:
            _log.warning("version %s of %s is counted without a reference: %s", version, model, error)
            return None

    def _read(self, named: Named) -> Reference:
        package = self._packages.open(named.package_uri, named.digest)
        return reference_of(package, self._slices.get(named.model, ()))


def reference_of(package: Package, slices: Sequence[str]) -> Reference:
    """Take the reference out of a package.

    Raises:
        MalformedProfile: Its profile is none.
    """
    profile = ReferenceProfile.parse(package.reference_profile)
    return Reference.of(
        profile, package.manifest.feature_names, _on_holdout(package.manifest.metrics), slices
    )


def _on_holdout(metrics: Mapping[str, float]) -> dict[str, float]:
    """Name metrics as monitors do: the trainer's say with `holdout_` what they are about."""
    return {name.removeprefix("holdout_"): value for name, value in metrics.items()}


def _in_route(data: bytes) -> Iterator[Named]:
    route = RouteChanged.FromString(data)
    arms = [*route.arms, *(arm for segment in route.segments for arm in segment.arms)]
    for one in [*(arm.version for arm in arms), *route.shadows]:
        yield Named(route.model, one.version, one.digest, one.package_uri)


def _in_registration(data: bytes) -> Iterator[Named]:
    one = ModelRegistered.FromString(data)
    yield Named(one.model, one.version, one.digest, one.package_uri)
