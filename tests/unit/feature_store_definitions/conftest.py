"""What a refused definition has to say, asked the same way by every table of refusals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from feature_store import DefinitionError

Refusal = tuple[Callable[[], object], str, str, str]


@pytest.fixture
def assert_refused(request: pytest.FixtureRequest) -> Callable[[Refusal], None]:
    """Check a definition that has no sense: which it is, what is wrong, what to write, and where."""
    file = str(request.path)

    def check(case: Refusal) -> None:
        define, definition, problem, instead = case
        with pytest.raises(DefinitionError) as caught:
            define()
        error = caught.value
        assert (error.definition, error.problem, error.instead) == (definition, problem, instead)
        assert error.location is not None
        assert error.location.file == file
        assert str(error) == f"{file}:{error.location.line}: {definition}: {problem}. {instead}"

    return check
