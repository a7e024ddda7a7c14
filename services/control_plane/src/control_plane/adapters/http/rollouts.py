"""Rollouts: a version takes over step by step, or is thrown out; and the way back in one call."""

from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, Response, status
from pydantic import BaseModel, ConfigDict, Field, field_validator

from control_plane import handlers
from control_plane.adapters.http import problems
from control_plane.adapters.http.bodies import Listed, Name
from control_plane.adapters.http.core import AskingOfCaller, Core, CoreOfApp, ModelName, Wanted
from control_plane.adapters.http.follower_bodies import FollowerOfRoute
from control_plane.adapters.http.route_bodies import RouteInForce
from control_plane.domain.errors import UnknownModel, UnknownRollout
from control_plane.domain.releasing import RolloutRequest
from control_plane.domain.rollouts import Judged, Move, Plan, Rollout
from control_plane.domain.times import moment

router = APIRouter(prefix="/v1/models/{model}", tags=["rollouts"])

_DEFAULT = Plan()
_MAX_WAIT_SECONDS = 60.0
Windows = Annotated[int, Field(ge=1, le=1000)]
Reason = Annotated[str, Field(max_length=4000, description="Why; it stays in the audit.")]
RolloutId = Annotated[
    str,
    Path(min_length=1, max_length=256, description="The rollout's id.", examples=["flight-delay-r3"]),
]


class RolloutPlan(BaseModel):
    """How a rollout is to go; windows are those of the comparison, once they have matured."""

    model_config = ConfigDict(extra="forbid")

    shadow_windows: Windows = _DEFAULT.shadow_windows
    canary_basis_points: Annotated[
        list[Annotated[int, Field(ge=1, le=9999)]],
        Field(min_length=1, max_length=32, description="Its share of the requests, step by step."),
    ] = list(_DEFAULT.canary_basis_points)
    step_windows: Windows = _DEFAULT.step_windows
    guard_windows: Windows = _DEFAULT.guard_windows
    skip_shadow: Annotated[
        bool, Field(description="Begin with the first step of the canary; needs a reason.")
    ] = False
    unjudged: Annotated[
        bool,
        Field(
            description="Go on where no outcome says which version is better, as of rankings and embeddings; "
            "needs a reason."
        ),
    ] = False

    @field_validator("canary_basis_points")
    @classmethod
    def _grow(cls, shares: list[int]) -> list[int]:
        if any(after <= before for before, after in pairwise(shares)):
            raise ValueError("each step must be greater than the one before")
        return shares

    def plan(self) -> Plan:
        """The plan that is meant."""
        return Plan(
            self.shadow_windows,
            tuple(self.canary_basis_points),
            self.step_windows,
            self.guard_windows,
            self.skip_shadow,
            self.unjudged,
        )


class NewRollout(BaseModel):
    """A version to roll out."""

    model_config = ConfigDict(extra="forbid")

    version: Name
    plan: RolloutPlan = RolloutPlan()
    reason: Reason = ""


class Stop(BaseModel):
    """Why something is stopped."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = ""


class Return(Stop):
    """Why to go back, and how long to wait until every replica has."""

    wait_s: Annotated[
        float | None,
        Field(ge=0, le=_MAX_WAIT_SECONDS, description="Reply when every live replica follows, or then."),
    ] = None


class MoveOfRollout(BaseModel):
    """A rollout came into a state."""

    revision: int
    state: str
    weight_basis_points: int
    reason: str
    changed_by: str
    changed_at: Annotated[datetime, Field(description="Event time as far as it was known.")]
    route_revision: int

    @classmethod
    def of(cls, move: Move) -> Self:
        """Shows a move."""
        return cls(
            revision=move.revision,
            state=move.state.lower(),
            weight_basis_points=move.weight_basis_points,
            reason=move.reason,
            changed_by=move.by,
            changed_at=moment(move.at_us),
            route_revision=move.route_revision,
        )


class JudgedWindow(BaseModel):
    """A matured window that counted."""

    window_start: datetime
    revision: int
    champion: Name
    verdict: Annotated[
        str, Field(description="Of the challenger: better, worse, equivalent, insufficient, undefined.")
    ]
    reason: str

    @classmethod
    def of(cls, judged: Judged) -> Self:
        """Shows a window."""
        return cls(
            window_start=moment(judged.window_start_us),
            revision=judged.revision,
            champion=judged.champion,
            verdict=judged.verdict.lower(),
            reason=judged.reason,
        )


class RolloutShown(BaseModel):
    """A rollout: its plan, where it is, why, and how it came there."""

    rollout_id: str
    model: Name
    version: Annotated[Name, Field(description="The candidate.")]
    previous: Annotated[Name, Field(description="The champion when it began.")]
    state: Annotated[str, Field(description="shadow, canary, guard, completed or aborted.")]
    weight_basis_points: Annotated[int, Field(description="The candidate's share of the requests.")]
    revision: Annotated[int, Field(description="Counts its moves.")]
    reason: Annotated[str, Field(description="Why it moved last.")]
    changed_by: str
    changed_at: Annotated[datetime, Field(description="Event time as far as it was known.")]
    started_by: str
    route_revision: int
    windows_counted: Annotated[int, Field(description="Matured windows that began in this step.")]
    windows_needed: int
    plan: RolloutPlan
    moves: list[MoveOfRollout]
    judged: list[JudgedWindow]

    @classmethod
    def of(cls, rollout: Rollout) -> Self:
        """Shows a rollout."""
        last, plan = rollout.last, rollout.plan
        return cls(
            rollout_id=rollout.rollout_id,
            model=rollout.model,
            version=rollout.version,
            previous=rollout.previous,
            state=rollout.state.lower(),
            weight_basis_points=last.weight_basis_points,
            revision=last.revision,
            reason=last.reason,
            changed_by=last.by,
            changed_at=moment(last.at_us),
            started_by=rollout.started_by,
            route_revision=last.route_revision,
            windows_counted=0 if rollout.ended else len(rollout.counted),
            windows_needed=rollout.needed_windows,
            plan=RolloutPlan(
                shadow_windows=plan.shadow_windows,
                canary_basis_points=list(plan.canary_basis_points),
                step_windows=plan.step_windows,
                guard_windows=plan.guard_windows,
                skip_shadow=plan.skip_shadow,
                unjudged=plan.unjudged,
            ),
            moves=[MoveOfRollout.of(move) for move in rollout.moves],
            judged=[JudgedWindow.of(judged) for judged in rollout.judged],
        )


class ReplicaFollowed(FollowerOfRoute):
    """A replica, and how long after the call it was heard to follow."""

    followed_after_ms: Annotated[float | None, Field(description="Null while it does not follow.")]


class RolledBack(RouteInForce):
    """The route in force again, and who follows it."""

    withdrawn: Annotated[
        Name | None,
        Field(
            description="What was taken off the traffic, not rolled back to; null if an experiment was ended."
        ),
    ]
    rollout_id: Annotated[str | None, Field(description="The rollout that was aborted.")]
    complete: Annotated[
        bool | None, Field(description="Whether every live replica follows; null when not waited for.")
    ]
    replicas: list[ReplicaFollowed]


_LOOK = (problems.UNKNOWN_MODEL, problems.INVALID_REQUEST, problems.UNAVAILABLE)
_CREATED: dict[int | str, dict[str, Any]] = {
    201: {
        "model": RolloutShown,
        "description": "The rollout has begun.",
        "headers": {"Location": {"description": "The rollout's address.", "schema": {"type": "string"}}},
    }
}


@router.get("/rollouts", responses=problems.documented(*_LOOK))
async def list_rollouts(core: CoreOfApp, model: ModelName, window: Wanted) -> Listed[RolloutShown]:
    """List a model's rollouts, the last started first."""
    page = await core.registry.rollouts(model, window)
    if not page.items and await core.registry.model(model) is None:
        raise UnknownModel(model)
    return Listed(items=[RolloutShown.of(rollout) for rollout in page.items], next=page.next)


@router.get("/rollouts/{rollout_id}", responses=problems.documented(problems.UNKNOWN_ROLLOUT, *_LOOK))
async def get_rollout(core: CoreOfApp, model: ModelName, rollout_id: RolloutId) -> RolloutShown:
    """Show a rollout: its plan, where it is, and why."""
    rollout = await core.registry.rollout(model, rollout_id)
    if rollout is not None:
        return RolloutShown.of(rollout)
    if await core.registry.model(model) is None:
        raise UnknownModel(model)
    raise UnknownRollout(model, rollout_id)


@router.post(
    "/rollouts",
    status_code=status.HTTP_201_CREATED,
    responses=_CREATED
    | problems.documented(
        problems.ACTOR_REQUIRED,
        problems.UNKNOWN_MODEL,
        problems.UNKNOWN_VERSION,
        problems.NO_ROUTE,
        problems.ROLLOUT_IN_PROGRESS,
        problems.EXPERIMENT_RUNNING,
        problems.TOO_LARGE,
        problems.INVALID_REQUEST,
        problems.ROUTE_REFUSED,
        problems.COMMENT_REQUIRED,
        problems.PACKAGE_REFUSED,
        problems.UNAVAILABLE,
    ),
)
async def start_rollout(
    core: CoreOfApp, model: ModelName, body: NewRollout, asking: AskingOfCaller, response: Response
) -> RolloutShown:
    """Start to roll an approved version out; one rollout a model runs at a time.

    It shadows the champion first, then answers a growing share of the requests, then all of them. Each step
    is judged on matured windows that began in it: worse aborts, too little data waits.
    """
    wanted = RolloutRequest(body.version, body.plan.plan(), asking.actor, body.reason.strip())
    rollout = await handlers.start_rollout(
        model, wanted, asking, registry=core.registry, packages=core.packages
    )
    core.committed()
    response.headers["Location"] = f"/v1/models/{model}/rollouts/{rollout.rollout_id}"
    return RolloutShown.of(rollout)


@router.post(
    "/rollouts/{rollout_id}/abort",
    responses=problems.documented(
        problems.ACTOR_REQUIRED,
        problems.UNKNOWN_MODEL,
        problems.UNKNOWN_ROLLOUT,
        problems.ROLLOUT_ENDED,
        problems.TOO_LARGE,
        problems.INVALID_REQUEST,
        problems.UNAVAILABLE,
    ),
)
async def abort_rollout(
    core: CoreOfApp, model: ModelName, rollout_id: RolloutId, body: Stop, asking: AskingOfCaller
) -> RolloutShown:
    """Stop a rollout: the champion of before answers everything again."""
    rollout = await handlers.abort_rollout(model, rollout_id, body.reason, asking, registry=core.registry)
    core.committed()
    return RolloutShown.of(rollout)


@router.post(
    "/rollback",
    responses=problems.documented(
        problems.ACTOR_REQUIRED,
        problems.UNKNOWN_MODEL,
        problems.NO_ROUTE,
        problems.NO_PREVIOUS,
        problems.TOO_LARGE,
        problems.INVALID_REQUEST,
        problems.UNAVAILABLE,
    ),
)
async def roll_back(core: CoreOfApp, model: ModelName, body: Return, asking: AskingOfCaller) -> RolledBack:
    """Make the champion before champion again, for all requests at once.

    While a rollout runs, that is the champion of before it, and the rollout is aborted. While an experiment
    gives requests to other versions, the experiment ends and the champion stays. Otherwise it is the last
    champion that was not itself rolled back from: a second rollback goes further back, never forth.
    """
    change = await handlers.roll_back(model, body.reason, asking, registry=core.registry)
    core.committed()
    route = change.route
    assert route is not None
    complete = None
    if body.wait_s is not None:
        complete = await core.followers.followed(model, route.revision, timeout_s=body.wait_s)
    rollout = change.rollout
    assert change.before.route is not None
    before = change.before.route.champion.version
    withdrawn = rollout.version if rollout else before if before != route.champion.version else None
    return RolledBack(
        **RouteInForce.of(route).model_dump(),
        withdrawn=withdrawn,
        rollout_id=rollout.rollout_id if rollout else None,
        complete=complete,
        replicas=_replicas(core, model, route.revision, called_us=asking.now_us),
    )


def _replicas(core: Core, model: str, revision: int, *, called_us: int) -> list[ReplicaFollowed]:
    now_us = core.clock()
    return [
        ReplicaFollowed(
            **FollowerOfRoute.of(follower, now_us).model_dump(),
            followed_after_ms=(
                (follower.since_us - called_us) / 1000 if follower.follows(revision) else None
            ),
        )
        for follower in core.followers.of(model)
    ]
