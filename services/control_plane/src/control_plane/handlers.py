"""What the control plane does, one function a request or message: gather, decide, apply.

A change that was overtaken is decided again on the state there is now, so that of two operators at once one
wins and the other is told what has changed.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bus.errors import Unavailable

from control_plane.domain import erasing, governing, releasing
from control_plane.domain.approvals import Approval, Decision, Subject, retrain_approval_id
from control_plane.domain.audit import Break, Head, first_break
from control_plane.domain.comparisons import Comparison
from control_plane.domain.erasing import Wish
from control_plane.domain.errors import RolloutEnded, UnknownApproval, UnknownModel
from control_plane.domain.governing import RetrainRequest
from control_plane.domain.pages import Window
from control_plane.domain.releasing import RolloutRequest
from control_plane.domain.rollouts import Rollout
from control_plane.domain.routes import Route, RouteRequest
from control_plane.domain.state import Change, ModelState
from control_plane.domain.versions import Claim, Version
from control_plane.ports import Overtaken, Packages, Registry, Wanted

_ATTEMPTS = 20
_AUDIT_PAGE = 1000
_ERASURES_PAGE = 200

Decide = Callable[[ModelState], Change]
Check = Callable[[Change], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Registration:
    """The version as it stands, and whether this request made it."""

    version: Version
    created: bool


@dataclass(frozen=True, slots=True)
class RouteChange:
    """The route in force, and whether this request put it there."""

    route: Route
    changed: bool


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, when, and in which trace."""

    actor: str
    now_us: int
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading the whole audit found."""

    links: int
    head: Head
    broken: Break | None


async def register(claim: Claim, *, registry: Registry, packages: Packages, now_us: int) -> Registration:
    """Registers a version; a repeat of the same claim changes nothing.

    Raises:
        VersionConflict: the name is taken by another package.
        PackageRefused: the package is not there, or not what the claim says.
    """
    if claim.version and (known := await registry.version(claim.model, claim.version)):
        return Registration(known.expect(claim.digest), created=False)
    facts = await packages.inspect(claim.package_uri, claim.digest)
    version = Version.of(claim, facts, registered_at_us=now_us)
    change = await _change(
        registry,
        claim.model,
        lambda state: governing.register(state, version, now_us=now_us),
        versions=[version.version],
    )
    if change.registered:
        return Registration(version, created=True)
    return Registration(change.before.versions[version.version], created=False)


async def set_route(
    request: RouteRequest, asking: Asking, *, registry: Registry, packages: Packages
) -> RouteChange:
    """Puts a route in force and announces it; asking for what is in force already changes nothing.

    Raises:
        RegistryError: see `releasing.set_route`.
        PackageRefused: a package is no longer what was registered.
    """
    change = await _change(
        registry,
        request.model,
        lambda state: releasing.set_route(state, request, actor=asking.actor, now_us=asking.now_us),
        versions=request.version_names,
        asking=asking,
        check=_verifying(packages),
    )
    route = change.route or change.before.route
    assert route is not None
    return RouteChange(route, changed=change.route is not None)


async def start_rollout(
    model: str, request: RolloutRequest, asking: Asking, *, registry: Registry, packages: Packages
) -> Rollout:
    """Starts a rollout.

    Raises:
        RegistryError: see `releasing.start`.
        PackageRefused: a package is no longer what was registered.
    """
    change = await _change(
        registry,
        model,
        lambda state: releasing.start(state, request, now_us=asking.now_us),
        versions=[request.version],
        asking=asking,
        check=_verifying(packages),
    )
    assert change.rollout is not None
    return change.rollout


async def abort_rollout(
    model: str, rollout_id: str, reason: str, asking: Asking, *, registry: Registry
) -> Rollout:
    """Ends a running rollout.

    Raises:
        RolloutEnded: it has ended already.
        RegistryError: see `releasing.abort`.
    """
    known = await registry.rollout(model, rollout_id)
    if known and known.ended:
        raise RolloutEnded(rollout_id, known.state.value, known.last.reason)
    change = await _change(
        registry,
        model,
        lambda state: releasing.abort(
            state, rollout_id, actor=asking.actor, reason=reason, now_us=asking.now_us
        ),
        asking=asking,
    )
    assert change.rollout is not None
    return change.rollout


async def roll_back(model: str, reason: str, asking: Asking, *, registry: Registry) -> Change:
    """Makes the champion before champion again.

    Packages are not verified again: replicas have the version warm, and the way back must not depend on the
    package store.

    Raises:
        RegistryError: see `releasing.roll_back`.
    """
    return await _change(
        registry,
        model,
        lambda state: releasing.roll_back(state, actor=asking.actor, reason=reason, now_us=asking.now_us),
        asking=asking,
    )


async def decide_approval(
    approval_id: str, decision: Decision, asking: Asking, *, registry: Registry
) -> Approval:
    """Decides on what waits for approval.

    Raises:
        RegistryError: see `governing.decide`.
    """
    known = await registry.approval(approval_id)
    if known is None:
        raise UnknownApproval(approval_id)
    named = [known.subject_id] if known.subject is Subject.VERSION else []
    change = await _change(
        registry,
        known.model,
        lambda state: governing.decide(state, approval_id, decision, now_us=asking.now_us),
        versions=named,
        approvals=[approval_id],
        asking=asking,
    )
    return change.approvals[0]


async def ask_erasure(wish: Wish, asking: Asking, *, registry: Registry) -> tuple[Approval, bool]:
    """Asks for an erasure; returns the open one of the subject, and whether this made it."""
    known = await find_erasure(wish.subject, registry=registry)
    if known is not None:
        return known, False
    change = await _change(
        registry,
        erasing.ERASURES,
        lambda state: erasing.ask(state, wish, actor=asking.actor, now_us=asking.now_us),
        asking=asking,
    )
    if change.approvals:
        return change.approvals[0], True
    found = erasing.of_subject(change.before.approvals, wish.subject)
    assert found is not None
    return found, False


async def find_erasure(subject: str, *, registry: Registry) -> Approval | None:
    """Finds the open erasure of a subject."""
    window, wanted = Window(_ERASURES_PAGE), Wanted(model=erasing.ERASURES)
    while True:
        page = await registry.approvals(wanted, window)
        found = erasing.of_subject({one.approval_id: one for one in page.items}, subject)
        if found is not None or page.next is None:
            return found
        window = Window(_ERASURES_PAGE, page.next)


async def complete_erasure(
    erasure_id: str, receipt: Mapping[str, Any], asking: Asking, *, registry: Registry
) -> Approval:
    """Closes an erasure with its receipt; a repeat changes nothing.

    Raises:
        RegistryError: see `erasing.complete`.
    """
    approval_id = erasing.approval_id_of(erasure_id)
    change = await _change(
        registry,
        erasing.ERASURES,
        lambda state: erasing.complete(state, erasure_id, receipt, actor=asking.actor, now_us=asking.now_us),
        approvals=[approval_id],
        asking=asking,
    )
    return change.approvals[0] if change.approvals else change.before.approvals[approval_id]


async def on_retrain_requested(request: RetrainRequest, *, registry: Registry, now_us: int) -> Change:
    """Opens the approval that a retraining waits for; a repeat changes nothing.

    Raises:
        UnknownModel: no version of the model was ever registered.
    """

    def decide(state: ModelState) -> Change:
        if not state.revision:
            raise UnknownModel(request.model)
        return governing.request(state, request, now_us=now_us)

    approval_id = retrain_approval_id(request.request_id)
    return await _change(registry, request.model, decide, approvals=[approval_id])


async def on_variants_compared(seen: Comparison, *, registry: Registry, now_us: int) -> Change:
    """Takes a comparison into account; a repeat changes nothing."""
    return await _change(registry, seen.model, lambda state: releasing.compare(state, seen, now_us=now_us))


async def on_event_time_passed(model: str, event_time_us: int, *, registry: Registry, now_us: int) -> Change:
    """Moves a model's event time on; of a model that is not registered nothing is noted."""
    return await _change(
        registry, model, lambda state: governing.pass_time(state, event_time_us, now_us=now_us)
    )


async def verify_audit(*, registry: Registry) -> Verification:
    """Reads the audit whole and finds its first break, a missing end included."""
    noted = await registry.audit_head()
    head, window = Head(), Window(_AUDIT_PAGE)
    while True:
        page = await registry.audit(window)
        broken = first_break(head, page.items)
        if broken:
            return Verification(head.sequence, noted, broken)
        if page.items:
            head = Head(page.items[-1].sequence, page.items[-1].hash)
        if page.next is None:
            break
        window = Window(_AUDIT_PAGE, page.next)
    if head.sequence < noted.sequence:
        why = f"link {head.sequence + 1} is missing: {noted.sequence} links were written"
        return Verification(head.sequence, noted, Break(head.sequence + 1, why))
    return Verification(head.sequence, noted, None)


async def _change(
    registry: Registry,
    model: str,
    decide: Decide,
    *,
    versions: Collection[str] = (),
    approvals: Collection[str] = (),
    asking: Asking | None = None,
    check: Check | None = None,
) -> Change:
    for _ in range(_ATTEMPTS):
        change = decide(await registry.state(model, versions=versions, approvals=approvals))
        if change.empty:
            return change
        if asking:
            change = replace(change, traceparent=asking.traceparent)
        if check:
            await check(change)
        try:
            await registry.commit(change)
        except Overtaken:
            continue
        return change
    raise Unavailable(f"{model!r} was changed by others {_ATTEMPTS} times while this change was decided")


def _verifying(packages: Packages) -> Check:
    async def check(change: Change) -> None:
        for version in change.route.arrangement.versions if change.route else ():
            await packages.inspect(version.package_uri, version.digest)

    return check
