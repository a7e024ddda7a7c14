"""Who waits with whom: quick versions all together, each slow one by itself.

Runs of quick versions are made in the event loop, which costs less than to hand them over: docs/adr/0005. A
version whose runs take longer than is borne would stop everybody there, so it gets a line, a limit and a
thread of its own until it has become quick again: docs/adr/0027.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from inference.domain.errors import NoScore, UnfitVector
from inference.domain.gathering import COMPANY, Company, Gathering
from inference.serve.coalescing import Coalescer
from inference.serve.threads import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import structlog

    from inference.clocks import Stopwatch
    from inference.domain.admission import Admission
    from inference.domain.batching import Line
    from inference.domain.conduct import Conduct, Patience
    from inference.scored import Answered
    from inference.serve.tickets import Ticket

    Begin = Callable[[Sequence[Ticket], Callable[[], None], "Apart | None"], None]


@dataclass(frozen=True, slots=True)
class Intake:
    """What requests meet on their way in. A slow version gets another line and admission like these.

    Attributes:
        line: Who waits, and in what order.
        admission: Who is let in while others are in hand.
        patience: What is borne of a version before it is run apart, or not at all.
        company: How long a batch waits for others.
    """

    line: Line[Ticket]
    admission: Admission
    patience: Patience
    company: Company = COMPANY

    def another(self) -> Intake:
        """The same, with nobody in it yet."""
        return replace(self, line=self.line.another(), admission=self.admission.another())


class Apart:
    """A slow version's own line and thread."""

    def __init__(self, name: str) -> None:
        self.worker: Worker[Any] = Worker(name)
        self.coalescer: Coalescer[Ticket]

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits here or is run."""
        return self.worker.is_idle and self.coalescer.is_idle


class Lanes:
    """Lets tickets wait where their version belongs, and runs versions where they belong.

    Args:
        begin: Begins to score a batch; it is told whether the batch is of a version apart.
        intake: For the quick versions.
    """

    def __init__(
        self,
        begin: Begin,
        intake: Intake,
        *,
        now_s: Stopwatch,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._begin = begin
        self._intake = intake
        self._now_s = now_s
        self._log = log
        self._together = self._coalescer(lambda batch, done: begin(batch, done, None), intake)
        self._apart: WeakKeyDictionary[Conduct, Apart] = WeakKeyDictionary()

    @property
    def waiting(self) -> int:
        """How many wait for their batch."""
        return self._together.waiting + sum(apart.coalescer.waiting for apart in self._apart.values())

    @property
    def limit(self) -> int:
        """How many of quick versions may be in hand."""
        return self._intake.admission.limit

    @property
    def apart(self) -> int:
        """How many versions run by themselves."""
        return len(self._apart)

    def submit(self, tickets: Sequence[Ticket]) -> None:
        """Let all wait, or none where all are of quick versions.

        Raises:
            Overloaded: There is no room for all; tickets of another lane may wait, and must be cancelled.
        """
        if not self._apart:
            self._together.submit(tickets)
            return
        waiting: dict[Coalescer[Ticket], list[Ticket]] = {}
        for ticket in tickets:
            waiting.setdefault(self._of(ticket.served.conduct), []).append(ticket)
        for coalescer, those in waiting.items():
            coalescer.submit(those)

    def run(
        self, conduct: Conduct, score: Callable[[], Answered], answer: Callable[[Answered], None]
    ) -> None:
        """Run a version where it belongs, learn from it, and pass on what it says.

        Args:
            conduct: The version's.
            score: Answered; it says of each vector why it has no score instead of raising.
            answer: Called with the scores, at once or later; it must not raise.
        """
        if conduct.is_slow(self._intake.patience) or (self._apart and conduct in self._apart):
            apart = self._apart.get(conduct) or self._set_apart(conduct)
            apart.worker.do(partial(self._timed, score), partial(self._answer_later, conduct, answer))
            return
        began_s = self._now_s()
        answered = score()
        self._learn(conduct, answered, began_s, self._now_s())
        answer(answered)

    def _timed(self, score: Callable[[], Answered]) -> tuple[Answered, float, float]:
        began_s = self._now_s()
        return score(), began_s, self._now_s()

    def _answer_later(
        self, conduct: Conduct, answer: Callable[[Answered], None], run: tuple[Answered, float, float]
    ) -> None:
        self._learn(conduct, *run)
        answer(run[0])

    def _learn(self, conduct: Conduct, answered: Answered, began_s: float, now_s: float) -> None:
        # The first has a score, as a rule, and the others need no looking at.
        scores = answered.scores
        has_scored = type(scores[0]) is float or any(not isinstance(score, NoScore) for score in scores)
        if not has_scored and all(isinstance(score, UnfitVector) for score in scores):
            # The vectors' fault says nothing of the version: no caller can have it left alone.
            return
        conduct.ran(now_s - began_s, has_scored=has_scored, now_s=now_s, patience=self._intake.patience)

    def _of(self, conduct: Conduct) -> Coalescer[Ticket]:
        apart = self._apart.get(conduct)
        if apart is None:
            return self._together
        # Two runs at a time would share the version's arrays: it comes back when nothing of it is under way.
        if conduct.is_quick_again(self._intake.patience) and apart.is_idle:
            del self._apart[conduct]
            self._log.info("version runs among the others again", version=conduct.name)
            return self._together
        return apart.coalescer

    def _set_apart(self, conduct: Conduct) -> Apart:
        apart = self._apart[conduct] = Apart(conduct.name)
        apart.coalescer = self._coalescer(
            lambda batch, done: self._begin(batch, done, apart), self._intake.another()
        )
        self._log.warning(
            "version runs apart: it is slow", version=conduct.name, run_ms=round(conduct.run_s * 1000, 1)
        )
        return apart

    def _coalescer(
        self, begin: Callable[[Sequence[Ticket], Callable[[], None]], None], intake: Intake
    ) -> Coalescer[Ticket]:
        return Coalescer(begin, intake.line, intake.admission, Gathering(intake.company), self._now_s)
