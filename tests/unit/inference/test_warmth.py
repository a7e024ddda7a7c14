"""Who goes when there is no room for all."""

from inference.domain.warmth import WarmModels


def test_who_was_not_asked_for_longest_goes_first() -> None:
    warm = WarmModels(budget_bytes=100)
    assert warm.warmed("a", 40) == []
    assert warm.warmed("b", 40) == []
    warm.asked("a")
    assert warm.warmed("c", 40) == ["b"]
    assert warm.warmed("d", 80) == ["b", "a", "c"]


def test_who_came_last_stays_whatever_it_takes() -> None:
    warm = WarmModels(budget_bytes=10)
    assert warm.warmed("a", 500) == []
    assert warm.warmed("b", 500) == ["a"]


def test_a_new_size_replaces_the_one_before() -> None:
    warm = WarmModels(budget_bytes=100)
    warm.warmed("a", 90)
    warm.warmed("a", 10)
    assert warm.total_bytes == 10
    warm.gone("a")
    warm.gone("a")
    warm.asked("a")
    assert warm.total_bytes == 0
