"""Why a command could not do what it was asked: one line for a person, an exit code for a script."""

DONE = 0
FAILED = 1
WRONG_USAGE = 2
OUT_OF_REACH = 3
INTERRUPTED = 130


class Failure(Exception):
    """What was asked cannot be done; the message says why and what to do."""

    exit_code = FAILED


class WrongUsage(Failure):
    """The command makes no sense as it was written."""

    exit_code = WRONG_USAGE


class Refused(Failure):
    """The control plane refuses, in its own words.

    Attributes:
        gates: The gates that a version failed, where that is why.
    """

    def __init__(self, told: str, *, gates: tuple[str, ...] = ()) -> None:
        super().__init__(told)
        self.gates = gates


class OutOfReach(Failure):
    """Something that has to run does not answer."""

    exit_code = OUT_OF_REACH
