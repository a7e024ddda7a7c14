"""One explanation at a time, kept, bounded in time, and refused for a reason."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from explain_shelf import VECTOR, WIDTH, Shelf, background, ref_of, score_of
from inference.domain.explanations import BackgroundKind, Explained, Method, Subject, Target
from inference.explain.errors import (
    InvalidExplainRequest,
    NotReadable,
    TookTooLong,
    TooManyWait,
    Unexplainable,
    WrongWidth,
)
from inference.explain.explainer import GOLDEN_NOTE, Limits
from inference.explain.targets import pick
from inference_kit.stock import MODEL
from model_package import Outputs, Scorer
from numpy.typing import NDArray

SUBJECT = Subject(MODEL, "v", VECTOR, np.ones(WIDTH, np.uint8))


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.explainer.close()


async def test_it_explains_by_the_packages_sample_of_its_training_set(shelf: Shelf) -> None:
    kept = background(30)
    ref = ref_of(shelf.version(background=kept))
    found = await shelf.explainer.explain(ref, SUBJECT, Target())
    assert (found.background, found.background_rows, found.notes) == (BackgroundKind.TRAINING_SAMPLE, 30, ())
    assert found.attribution.method is Method.EXACT
    assert found.attribution.plain.value == pytest.approx(score_of(VECTOR), abs=1e-6)
    np.testing.assert_array_equal(found.usual, np.median(kept.vectors, axis=0))


async def test_a_package_without_a_sample_is_explained_against_its_golden_rows_and_says_so(
    shelf: Shelf,
) -> None:
    found = await shelf.explainer.explain(ref_of(shelf.version(background=None)), SUBJECT, Target())
    assert (found.background, found.notes) == (BackgroundKind.GOLDEN_ROWS, (GOLDEN_NOTE,))


async def test_the_same_vector_is_explained_once_and_another_again(shelf: Shelf) -> None:
    ref = ref_of(shelf.version())
    once = await shelf.explainer.explain(ref, SUBJECT, Target())
    again = await shelf.explainer.explain(ref, replace(SUBJECT, values=VECTOR.copy()), Target())
    other = await shelf.explainer.explain(ref, replace(SUBJECT, values=VECTOR + 1), Target())
    assert again is once
    assert other is not once
    assert shelf.counted("inference_explanations_total", model=MODEL, kept="yes") == 1
    assert shelf.counted("inference_explanations_total", model=MODEL, kept="no") == 2


async def test_no_more_are_kept_than_may_be(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, Limits(seconds=60, waiting=4, kept=2))
    ref = ref_of(shelf.version())
    subjects = [replace(SUBJECT, values=VECTOR + number) for number in range(3)]
    first = [await shelf.explainer.explain(ref, subject, Target()) for subject in subjects]
    assert await shelf.explainer.explain(ref, subjects[2], Target()) is first[2]
    assert await shelf.explainer.explain(ref, subjects[0], Target()) is not first[0]
    shelf.explainer.close()


async def test_a_vector_of_another_width_is_refused(shelf: Shelf) -> None:
    with pytest.raises(WrongWidth, match=r"has 3 values; .* reads 7 features"):
        await shelf.explainer.explain(ref_of(shelf.version()), replace(SUBJECT, values=VECTOR[:3]), Target())


async def test_a_package_that_is_gone_or_changed_is_named(shelf: Shelf) -> None:
    version = shelf.version()
    (Path(version.package_uri.removeprefix("file://")) / "background.json").write_bytes(b"{}")
    with pytest.raises(Unexplainable, match=r"background.json of package .* has SHA-256"):
        await shelf.explainer.explain(ref_of(version), SUBJECT, Target())


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Target("logits", 0), r"output: .* has no output 'logits'; it has: score"),
        (Target("score", 1), r"element: is 1; 'score' of .* has 1 elements"),
        (Target("score", -1), r"element: is -1"),
    ],
)
async def test_a_number_that_the_model_has_not_is_named(shelf: Shelf, target: Target, message: str) -> None:
    with pytest.raises(InvalidExplainRequest, match=message):
        await shelf.explainer.explain(ref_of(shelf.version()), SUBJECT, target)


def test_any_element_of_any_output_of_numbers_can_be_explained() -> None:
    named = {"probabilities": np.arange(6.0).reshape(2, 3), "label": np.array(["a", "b"], object)}
    answers = Outputs([0.5, 0.25], named)
    assert pick(answers, Target("probabilities", 2), "v").tolist() == [2.0, 5.0]
    assert pick(answers, Target(), "v").tolist() == [0.5, 0.25]
    with pytest.raises(InvalidExplainRequest, match="holds no numbers"):
        pick(answers, Target("label"), "v")
    with pytest.raises(InvalidExplainRequest, match=r"it has: label, probabilities, score"):
        pick(answers, Target("other"), "v")


class Slow:
    """A model that answers when it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs = 0
        self.began = threading.Event()
        self.go_on = threading.Event()
        monkeypatch.setattr(Scorer, "answer", self._answer)

    def _answer(self, rows: NDArray[np.float32]) -> Outputs:
        self.runs += 1
        self.began.set()
        assert self.go_on.wait(30)
        return Outputs([0.5] * len(rows), {})

    async def begun(self) -> None:
        """Return when it was asked."""
        assert await asyncio.to_thread(self.began.wait, 30)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    slow = Slow(monkeypatch)
    yield slow
    slow.go_on.set()


async def test_who_waits_longer_than_they_would_is_told(shelf: Shelf, slow: Slow) -> None:
    with pytest.raises(TookTooLong, match=r"within 0.05 s"):
        await shelf.explainer.explain(ref_of(shelf.version()), SUBJECT, Target(), within_s=0.05)
    assert not slow.go_on.is_set()


async def test_a_model_is_not_run_on_for_a_caller_that_has_gone(shelf: Shelf, slow: Slow) -> None:
    # So many rows are a run for each set of features: 128 of them.
    ref = ref_of(shelf.version(background=background(2_048)))
    gone = asyncio.ensure_future(shelf.explainer.explain(ref, SUBJECT, Target()))
    await slow.begun()
    gone.cancel()
    await asyncio.wait([gone])
    slow.go_on.set()
    await shelf.explainer.explain(ref, SUBJECT, Target())
    assert 128 < slow.runs < 256, "the second was explained whole, the first was not"


async def test_nobody_waits_where_too_many_do(tmp_path: Path, slow: Slow) -> None:
    shelf = Shelf(tmp_path, Limits(seconds=60, waiting=2, kept=0))
    ref = ref_of(shelf.version())
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(shelf.explainer.explain(ref, SUBJECT, Target())) for _ in range(2)]
        await slow.begun()
        with pytest.raises(TooManyWait, match="2 explanations wait"):
            await shelf.explainer.explain(ref, SUBJECT, Target())
        slow.go_on.set()
    assert all(isinstance(task.result(), Explained) for task in waiting)
    shelf.explainer.close()


async def test_what_is_under_way_is_given_up_at_the_end(tmp_path: Path, slow: Slow) -> None:
    shelf = Shelf(tmp_path)
    asked = asyncio.ensure_future(shelf.explainer.explain(ref_of(shelf.version()), SUBJECT, Target()))
    await slow.begun()
    shelf.explainer.close()
    slow.go_on.set()
    with pytest.raises(NotReadable, match="stopping"):
        await asked
    with pytest.raises(NotReadable, match="stopping"):
        await shelf.explainer.explain(ref_of(shelf.version()), SUBJECT, Target())
