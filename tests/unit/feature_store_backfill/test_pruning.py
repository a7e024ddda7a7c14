"""What is pruned is what nobody keeps and nobody reads."""

from __future__ import annotations

from feature_store.online.keepers import Keeper
from feature_store.online.pruning import Prunable, prunable

A, B, C, D = ("aaaaaaaa" + 56 * "0", "bbbbbbbb" + 56 * "0", "cccccccc" + 56 * "0", "dddddddd" + 56 * "0")
ROWS = {("trips", "aaaaaaaa"): 5, ("trips", "bbbbbbbb"): 7, ("drivers", "cccccccc"): 2, ("trips", ""): 3}


def keeper(group: str, project: str = "taxis", **views: str) -> Keeper:
    return Keeper(group, project, views, {}, {}, complete=True, began_us=0)


NOW = keeper("now", trips=B, drivers=C)
BEFORE = keeper("before", trips=A, drivers=C)


def test_a_group_that_stopped_goes_with_what_only_it_kept_and_so_do_rows_without_a_version() -> None:
    chosen = prunable(NOW, [NOW, BEFORE], running={"now"}, read=[{"trips": B}], rows=ROWS)
    assert chosen == Prunable(("before",), {("trips", "aaaaaaaa"): 5, ("trips", ""): 3})


def test_a_group_that_runs_stays() -> None:
    chosen = prunable(NOW, [NOW, BEFORE], running={"before"}, read=[], rows=ROWS)
    assert chosen == Prunable((), {("trips", ""): 3})


def test_what_a_model_reads_stays_and_so_does_who_keeps_it() -> None:
    chosen = prunable(NOW, [NOW, BEFORE], running=(), read=[{"trips": A, "drivers": C}], rows=ROWS)
    assert chosen == Prunable((), {("trips", ""): 3})


def test_a_model_that_reads_what_the_project_still_keeps_holds_no_old_group() -> None:
    chosen = prunable(NOW, [NOW, BEFORE], running=(), read=[{"drivers": C}], rows=ROWS)
    assert chosen.groups == ("before",)


def test_what_a_model_reads_and_nobody_keeps_stays() -> None:
    rows = {("trips", "dddddddd"): 1}
    assert prunable(NOW, [NOW], running=(), read=[{"trips": D}], rows=rows).rows == {}
    assert prunable(NOW, [NOW], running=(), read=[], rows=rows).rows == rows


def test_another_project_s_rows_are_not_looked_at_though_it_does_not_run() -> None:
    other = keeper("other", "buses", trips=A, lines=D)
    rows = {**ROWS, ("lines", "dddddddd"): 4, ("unheard_of", "dddddddd"): 4}
    chosen = prunable(NOW, [NOW, other], running=(), read=[], rows=rows)
    assert chosen == Prunable((), {("trips", ""): 3})
