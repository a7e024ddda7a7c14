"""Why the registry refuses; adapters say it over HTTP or in a dead-letter record."""


class RegistryError(Exception):
    """The registry refuses a request; the message says why and what to do."""


class UnknownModel(RegistryError):
    """No version of that model was ever registered."""

    def __init__(self, model: str) -> None:
        super().__init__(f"There is no model {model!r}: register a version of it first.")


class UnknownVersion(RegistryError):
    """The model exists, that version of it does not."""

    def __init__(self, model: str, version: str) -> None:
        super().__init__(f"Model {model!r} has no version {version!r}: register it first.")


class NoRoute(RegistryError):
    """The model exists and serves nobody yet."""

    def __init__(self, model: str) -> None:
        super().__init__(f"Model {model!r} has no route yet: set a champion.")


class VersionConflict(RegistryError):
    """A version's name is taken by another package; a registered version never changes."""

    def __init__(self, model: str, version: str, *, registered: str, offered: str) -> None:
        super().__init__(
            f"Version {version!r} of {model!r} is registered with digest {registered} and never changes; "
            f"{offered} needs a version name of its own."
        )


class PackageRefused(RegistryError):
    """The package cannot be trusted to be what it is said to be.

    Attributes:
        reason: Which rule it breaks, in UPPER_SNAKE.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class RouteRefused(RegistryError):
    """The route asked for makes no sense.

    Attributes:
        reason: Which rule it breaks, in UPPER_SNAKE.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class RevisionConflict(RegistryError):
    """The route changed since the caller looked.

    Attributes:
        current: The revision in force; 0 when there is no route.
    """

    def __init__(self, model: str, *, current: int) -> None:
        super().__init__(
            f"The route of {model!r} is at revision {current}, not at the one this change was made for: "
            "read it again, decide again, and send the new revision."
        )
        self.current = current


class UnknownCursor(RegistryError):
    """A page was asked for after something that is no cursor of that list."""

    def __init__(self, cursor: str) -> None:
        super().__init__(
            f"{cursor!r} is no cursor of this list: send the `next` of an earlier page, or none."
        )


class UnknownRollout(RegistryError):
    """There is no such rollout of the model."""

    def __init__(self, model: str, rollout_id: str | None) -> None:
        named = "running rollout" if rollout_id is None else f"rollout {rollout_id!r}"
        super().__init__(f"Model {model!r} has no {named}: see /v1/models/{model}/rollouts.")


class RolloutInProgress(RegistryError):
    """A rollout of the model is running; its route belongs to it until it ends."""

    def __init__(self, model: str, rollout_id: str, version: str, state: str, started_by: str) -> None:
        super().__init__(
            f"Rollout {rollout_id} of {version} by {started_by} is in {state}: the route of {model!r} is its "
            "until it ends. Abort it, roll back, or wait."
        )


class ExperimentRunning(RegistryError):
    """The route has arms that somebody set; a rollout would take them away unasked."""

    def __init__(self, model: str, arms: str) -> None:
        super().__init__(
            f"The route of {model!r} runs an experiment with {arms}: a rollout moves shares of its own. End "
            "the experiment first by setting the route without arms and segments."
        )


class RolloutEnded(RegistryError):
    """The rollout has ended already."""

    def __init__(self, rollout_id: str, state: str, reason: str) -> None:
        super().__init__(f"Rollout {rollout_id} has ended already: {state}, because {reason}")


class NothingToRollBackTo(RegistryError):
    """No version was champion before that could be again."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"No version of {model!r} was champion before the current one that was not rolled back from "
            "itself: set a route."
        )


class UnknownApproval(RegistryError):
    """Nobody asked for that approval."""

    def __init__(self, approval_id: str) -> None:
        super().__init__(f"There is no approval {approval_id!r}: see /v1/approvals.")


class AlreadyDecided(RegistryError):
    """Somebody has decided."""

    def __init__(self, approval_id: str, state: str, decided_by: str, decided_at: str) -> None:
        super().__init__(
            f"{approval_id} was {state.lower()} by {decided_by} on {decided_at}: a decision is final."
        )


class ApprovalExpired(RegistryError):
    """It was decided too late."""

    def __init__(self, approval_id: str, expired_at: str) -> None:
        super().__init__(
            f"{approval_id} expired on {expired_at}, in event time: what it asked for has been given up."
        )


class OwnVersion(RegistryError):
    """Somebody would approve what they registered themselves."""

    def __init__(self, version: str, actor: str) -> None:
        super().__init__(f"{actor} registered {version}, so somebody else has to approve it.")


class OwnErasure(RegistryError):
    """Somebody would approve the erasure that they asked for themselves."""

    def __init__(self, erasure_id: str, actor: str) -> None:
        super().__init__(f"{actor} asked for {erasure_id}, so somebody else has to approve it.")


class UnknownErasure(RegistryError):
    """Nobody asked for that erasure."""

    def __init__(self, erasure_id: str) -> None:
        super().__init__(f"There is no erasure {erasure_id!r}: see /v1/erasures.")


class ErasureNotApproved(RegistryError):
    """An erasure is told to be done that nobody has approved."""

    def __init__(self, erasure_id: str, state: str) -> None:
        super().__init__(f"{erasure_id} is {state.lower()}: only an approved erasure is carried out.")


class GatesFailed(RegistryError):
    """The version failed gates that nobody waived.

    Attributes:
        gates: Their names.
    """

    def __init__(self, version: str, reasons: dict[str, str]) -> None:
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        names = ", ".join(f'"{name}"' for name in reasons)
        super().__init__(
            f"{version} failed {len(reasons)} gate(s) ({told}): reject it, or take the responsibility with "
            f'"waive_gates": [{names}] and a comment that says why.'
        )
        self.gates = tuple(reasons)


class UnknownGate(RegistryError):
    """A gate would be waived that the version did not fail."""

    def __init__(self, version: str, names: tuple[str, ...], failed: tuple[str, ...]) -> None:
        super().__init__(
            f"{version} did not fail {', '.join(names)}: it failed {', '.join(failed) or 'no gate'}. "
            "Waive what failed, and nothing else."
        )


class CommentRequired(RegistryError):
    """A decision that needs a reason came without one."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs a reason that can be read later: say why.")


class ActorRequired(RegistryError):
    """Nobody says that they do this."""

    def __init__(self) -> None:
        super().__init__(
            "A change says who makes it: send your name in the header Tidemark-Actor "
            "(printable ASCII, at most 128 characters, not beginning with 'system:')."
        )
