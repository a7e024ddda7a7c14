"""Who has followed a rollback, and when the last one did."""

from typing import Any

import pytest
from tidemark_cli.rollback import last_ms, missing


def replica(name: str, followed_after_ms: float | None, role: str = "serve") -> dict[str, Any]:
    return {"replica": name, "role": role, "followed_after_ms": followed_after_ms}


FAST, SLOW, LATE = replica("a", 12.5), replica("b", 80.0), replica("c", None)
LATE_SHADOW, SLOW_SHADOW = replica("s", None, role="shadow"), replica("t", 900.0, role="shadow")


@pytest.mark.parametrize(
    ("replicas", "late", "last"),
    [
        ([FAST, SLOW], [], 80.0),
        ([FAST, LATE, SLOW], ["c"], None),
        ([FAST, LATE_SHADOW, SLOW_SHADOW], [], 12.5),
        ([LATE_SHADOW], [], None),
        ([], [], None),
    ],
)
def test_the_last_replica_that_answers_requests_counts_and_shadows_do_not(
    replicas: list[dict[str, Any]], late: list[str], last: float | None
) -> None:
    assert (missing(replicas), last_ms(replicas)) == (late, last)
