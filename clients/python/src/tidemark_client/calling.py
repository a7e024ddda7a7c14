"""One call from its first attempt to its answer: what both clients share."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from secrets import SystemRandom
from typing import TYPE_CHECKING, Final, TypedDict

from tidemark_client.connecting import Connection
from tidemark_client.errors import DeadlineExceeded, NotReady, TidemarkError
from tidemark_client.ids import CHANCE_BYTES, uuid7
from tidemark_client.retrying import Attempts, Budget, Retries
from tidemark_client.statuses import error_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

    from tidemark_client.connecting import Metadata

_CHANCE: Final = SystemRandom().random
_LONGEST_S: Final = 86_400
_ONCE: Final = Retries(most_attempts=1)


def _new_id() -> str:
    return uuid7(time.time_ns() // 1000, os.urandom(CHANCE_BYTES))


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What became of a call: for metrics.

    Attributes:
        method: E.g. "Score". A stream is told batch by batch.
        error: None where it was answered.
        attempts: How often it was sent; what is beyond 1 are retries.
        seconds: From the call to its answer, waiting included.
    """

    method: str
    error: TidemarkError | None
    attempts: int
    seconds: float


class Given(TypedDict):
    """What an attempt is given."""

    timeout: float
    metadata: Metadata | None


class Caller:
    """Begins calls.

    Args:
        timeout_s: Of a call that names none: until its answer, with all its attempts.
        retries: How to ask again.
        connection: Whose metadata is sent.
        on_call: Told of every call when it has ended. It must not wait; what it raises reaches the caller.
        now_s: A clock that never goes back.
        chance: Draws from 0 to 1, uniformly.
        new_id: Makes prediction ids.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 1.0,
        retries: Retries | None = None,
        connection: Connection | None = None,
        on_call: Callable[[CallRecord], None] | None = None,
        now_s: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = _CHANCE,
        new_id: Callable[[], str] = _new_id,
    ) -> None:
        self._timeout_s = _checked(timeout_s)
        self._retries = retries or Retries()
        self._budget = Budget(self._retries)
        self._metadata = (connection or Connection()).metadata
        self._on_call = on_call
        self.now_s = now_s
        self._chance = chance
        self.new_id = new_id
        self._process = os.getpid()
        self.is_closed = False

    def begin(self, method: str, timeout_s: float | None, *, is_once: bool = False) -> Call:
        """Begin a call; one that is made once is not asked again.

        Raises:
            NotReady: The client is closed.
            RuntimeError: The client was made in another process: connections do not survive a fork.
            ValueError: The timeout is not above 0.
        """
        self.demand_usable()
        allowed_s = self._timeout_s if timeout_s is None else _checked(timeout_s)
        retries = _ONCE if is_once else self._retries
        attempts = Attempts(retries, self._budget, self.now_s() + allowed_s, self._chance)
        return Call(self, method, allowed_s, attempts)

    def demand_usable(self) -> None:
        """Refuse to use connections that are no more.

        Raises:
            NotReady: The client is closed.
            RuntimeError: See `begin`.
        """
        if os.getpid() != self._process:
            raise RuntimeError("this client was made before a fork: make one in each process, after it")
        if self.is_closed:
            raise NotReady("this client is closed: make another")

    def metadata(self) -> Metadata | None:
        """Return what is sent beside an attempt."""
        return None if self._metadata is None else self._metadata()

    def tell(self, record: CallRecord) -> None:
        """Tell of a call that has ended."""
        if self._on_call is not None:
            self._on_call(record)


class Call:
    """One call: attempts that share a deadline, until one is answered or none is left."""

    def __init__(self, caller: Caller, method: str, allowed_s: float, attempts: Attempts) -> None:
        self._caller = caller
        self._method = method
        self._allowed_s = allowed_s
        self._attempts = attempts
        self._begun_s = caller.now_s()

    @property
    def left_s(self) -> float:
        """Until the deadline."""
        return self._attempts.left_s(self._caller.now_s())

    def given(self) -> Given:
        """Return what the next attempt is given."""
        return {"timeout": self.left_s, "metadata": self._caller.metadata()}

    def answered(self) -> None:
        """Note the answer."""
        self._attempts.succeeded()
        self._tell(None)

    def wait_after(self, failed: grpc.RpcError) -> float:
        """Return how long to wait until the next attempt, in seconds.

        Raises:
            TidemarkError: There is to be none.
        """
        try:
            return self.wait_after_error(error_of(failed, self._method, self._allowed_s))
        except TidemarkError as error:
            raise error from failed

    def wait_after_error(self, error: TidemarkError) -> float:
        """As `wait_after`, where gRPC raised nothing."""
        wait_s = None if self._caller.is_closed else self._attempts.wait_after(error, self._caller.now_s())
        if wait_s is None:
            self._tell(error)
            raise error
        return wait_s

    def late(self) -> DeadlineExceeded:
        """Note that the deadline passed unanswered; gives the error."""
        error = DeadlineExceeded(
            f"{self._method} was not answered within {self._allowed_s:g} s: allow more with timeout_s"
        )
        self._tell(error)
        return error

    def ended(self) -> NotReady:
        """Return the error of a stream that the server ended with questions unanswered."""
        return NotReady(f"the server ended {self._method} before it had answered: ask again")

    def _tell(self, error: TidemarkError | None) -> None:
        seconds = self._caller.now_s() - self._begun_s
        self._caller.tell(CallRecord(self._method, error, self._attempts.count, seconds))


def _checked(timeout_s: float) -> float:
    if not 0 < timeout_s <= _LONGEST_S:
        raise ValueError(f"timeout_s is {timeout_s}: it must be above 0, and at most {_LONGEST_S:,}")
    return timeout_s
