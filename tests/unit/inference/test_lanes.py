"""A slow version waits for its own thread, and nobody waits for it."""

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from inference.domain.admission import Admission, Bounds
from inference.domain.batching import Line
from inference.domain.conduct import Conduct, Patience
from inference.domain.errors import NoScore, UnfitVector
from inference.scored import Answered
from inference.serve.lanes import Intake, Lanes
from inference_kit.companies import AT_ONCE

PATIENCE = Patience(slow_run_s=0.01)


@dataclass
class Served:
    conduct: Conduct


@dataclass(eq=False)
class Guest:
    """As much of a ticket as lanes look at."""

    served: Served
    lane: str = "m"
    received_at_s: float = 0.0

    def is_wanted(self, _now_s: float) -> bool:
        return True


@dataclass
class Stage:
    """Lanes whose batches stay begun until the test is done with them."""

    now_s: float = 0.0
    begun: list[tuple[list[Any], Any, Any]] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        intake: Intake = Intake(Line(limit=10, batch=4), Admission(Bounds()), PATIENCE, AT_ONCE)
        self.lanes = Lanes(self._begin, intake, now_s=lambda: self.now_s, log=structlog.get_logger())

    def _begin(self, batch: Any, done: Any, apart: Any) -> None:
        self.begun.append((list(batch), done, apart))

    def run(self, conduct: Conduct, seconds: float = 0.0, score: float | NoScore = 0.5) -> None:
        """Run a version that takes so long."""

        def scores() -> Answered:
            self.now_s += seconds
            return Answered([score])

        self.lanes.run(conduct, scores, self.answers.append)

    def submit(self, *guests: Guest) -> None:
        self.lanes.submit(guests)  # type: ignore[arg-type] # see Guest


@pytest.fixture
async def stage() -> Stage:
    return Stage()


async def test_a_quick_version_runs_at_once_in_the_loop(stage: Stage) -> None:
    stage.run(Conduct("quick"))
    assert stage.answers == [Answered([0.5])]
    assert stage.lanes.apart == 0


async def test_a_version_that_was_slow_to_warm_never_runs_in_the_loop(stage: Stage) -> None:
    conduct, entered, let_go = Conduct("slow", run_s=0.5), threading.Event(), threading.Event()
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def scores() -> Answered:
        entered.set()
        let_go.wait(10)
        return Answered([float(threading.current_thread().name == "slow")])

    stage.lanes.run(conduct, scores, answered.set_result)
    await asyncio.to_thread(entered.wait, 10)
    stage.run(Conduct("quick"))
    assert stage.answers == [Answered([0.5])]
    assert not answered.done()
    let_go.set()
    assert await answered == Answered([1.0])


async def test_after_a_slow_run_its_requests_wait_by_themselves_and_nobody_for_them(stage: Stage) -> None:
    slow, quick = Served(Conduct("slow")), Served(Conduct("quick"))
    stage.run(slow.conduct, seconds=0.5)
    await _run_apart(stage, slow.conduct)
    assert stage.lanes.apart == 1

    stage.submit(Guest(slow))
    stage.submit(Guest(slow), Guest(slow), Guest(quick))
    stage.submit(Guest(quick))

    assert [[guest.served for guest in batch] for batch, _, _ in stage.begun] == [[slow], [quick]]
    assert [apart is None for _, _, apart in stage.begun] == [False, True]
    assert stage.lanes.waiting == 3


async def test_a_version_that_became_quick_again_comes_back_once_it_is_idle(stage: Stage) -> None:
    served = Served(Conduct("slow", run_s=0.5))
    await _run_apart(stage, served.conduct)
    stage.submit(Guest(served))
    for _ in range(30):
        served.conduct.ran(0.0, has_scored=True, now_s=0.0, patience=PATIENCE)
    stage.submit(Guest(served))
    assert stage.lanes.apart == 1

    for _ in range(2):
        stage.begun[-1][1]()
        await asyncio.sleep(0)
    stage.submit(Guest(served))
    assert stage.lanes.apart == 0
    assert stage.begun[-1][2] is None


async def test_a_version_that_gives_no_score_is_learned_from(stage: Stage) -> None:
    conduct = Conduct("v")
    for _ in range(PATIENCE.failures):
        stage.run(conduct, score=NoScore("nan"))
    with pytest.raises(Exception, match="VERSION_FAILING"):
        conduct.check(stage.now_s)


async def test_a_vector_that_does_not_fit_says_nothing_of_its_version(stage: Stage) -> None:
    conduct = Conduct("v")
    for _ in range(2 * PATIENCE.failures):
        stage.run(conduct, score=UnfitVector("1e30 is no INT64"))
    conduct.check(stage.now_s)


async def _run_apart(stage: Stage, conduct: Conduct) -> None:
    answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    stage.lanes.run(conduct, lambda: Answered([0.5]), answered.set_result)
    await answered
