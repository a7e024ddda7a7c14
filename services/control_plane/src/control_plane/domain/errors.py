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
