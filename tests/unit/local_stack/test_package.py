import subprocess
import sys

import local_stack
import pytest
from local_stack import StackError


def test_every_public_name_can_be_imported() -> None:
    assert set(local_stack._HOMES) == set(local_stack.__all__)
    for name in local_stack.__all__:
        assert getattr(local_stack, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        local_stack.Nothing  # noqa: B018


def test_every_error_is_a_stack_error() -> None:
    errors = [getattr(local_stack, name) for name in local_stack.__all__ if name.endswith("Error")]
    assert len(errors) > 5
    assert all(issubclass(error, StackError) for error in errors)


@pytest.mark.parametrize("module", ["guardian", "cli"])
def test_the_guardian_and_the_help_do_not_wait_for_clients_to_be_imported(module: str) -> None:
    heavy = ["aiokafka", "redis", "pydantic", "testcontainers"]
    program = f"import sys, local_stack.{module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
