"""What a training needs, in memory, for tests."""


class SilentSteps:
    """Hears, and says nothing."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def begin(self, step: str) -> None:
        """See `Steps.begin`."""
        self.heard.append(step)
