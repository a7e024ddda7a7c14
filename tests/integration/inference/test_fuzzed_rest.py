"""The REST interface does as it describes itself, whatever it is asked."""

import asyncio
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from inference_kit.memory import memory_plane
from inference_kit.planes import follow, is_serving
from inference_kit.stock import MODEL
from local_stack.ports import choose
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

EXAMPLES = 12
# A body may fit the description and not the model: that is the caller's fault, and refused.
EXCLUDED = ["positive_data_acceptance"]


async def test_it_does_as_it_describes_itself(tmp_path: Path) -> None:
    (port,) = choose(1, seed=str(tmp_path))
    async with memory_plane(tmp_path, rest_port=port) as plane:
        await follow(plane, plane.stock.route(plane.stock.version()))
        await is_serving(plane)
        asked = await asyncio.to_thread(ask_everything, f"http://127.0.0.1:{port}")
    assert asked == 9


def ask_everything(url: str) -> int:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            ask(operation, mode, url)
    return len(operations)


def ask(operation: Any, mode: GenerationMode, url: str) -> None:
    if mode is GenerationMode.NEGATIVE and not operation.body:
        return

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def answered_as_described(case: Any) -> None:
        if "model" in (case.path_parameters or {}):
            case.path_parameters["model"] = MODEL
        case.call_and_validate(base_url=url, excluded_checks=CHECKS.get_by_names(EXCLUDED))

    answered_as_described()
