"""Which processes the demo starts, and what each is told."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tidemark_cli.platform import JobSpec, ProcessSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_stack import LocalStack
    from tidemark_cli.platform import Platform

    from examples.flights.demo.options import DemoOptions

PROJECT = "examples.flights"
INFERENCE, CONTROL_PLANE = "inference", "control-plane"


def environment(options: DemoOptions, stack: Mapping[str, str]) -> dict[str, str]:
    """What every process is told, beside its own ports."""
    folder = options.folder.resolve()
    return {
        **stack,
        "TIDEMARK_PROJECT": PROJECT,
        "TIDEMARK_STACK": "demo",
        "LAKE_URI": str(folder / "lake"),
        "PACKAGES_URI": str(folder / "packages"),
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'control_plane.db'}",
        "LOG_FORMAT": "json",
        # One thread each: a dozen processes share the machine's cores.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "1",
    }


def addresses(options: DemoOptions, stack: LocalStack, platform: Platform) -> dict[str, str]:
    """What a shell is told that looks around a kept run: the services' environment, and where they are."""
    scoring = platform.processes[INFERENCE].ports["GRPC_PORT"]
    registry = platform.processes[CONTROL_PLANE].ports["HTTP_PORT"]
    tools = Path(sys.executable).parent
    return {
        **environment(options, stack.environment()),
        "TIDEMARK_SCORING_ADDRESS": f"127.0.0.1:{scoring}",
        "TIDEMARK_CONTROL_PLANE_URL": f"http://127.0.0.1:{registry}",
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",  # noqa: TID251 - the shell's own, with the tools in front
    }


def learning_services(options: DemoOptions) -> list[ProcessSpec]:
    """What must run before there is a model: features, archive and registry."""
    features = [ProcessSpec(f"feature-{number}", "feature") for number in range(1, options.features + 1)]
    return [
        *features,
        # Fewer, larger commits than by default: nobody reads the lake while flights are lived.
        ProcessSpec("archiver", "archiver", environment={"FLUSH_MS": "6000"}),
        ProcessSpec(CONTROL_PLANE, "control_plane", ports=("HTTP_PORT",)),
    ]


def living_services() -> list[ProcessSpec]:
    """What runs once there is a route: serving, shadow and comparison."""
    return [
        # A dozen processes share the machine: a run that can be repeated to the last bit waits for its rows
        # longer than a product backend would.
        ProcessSpec(INFERENCE, "inference", environment={"REDIS_DEADLINE_MS": "5000"}, ports=("GRPC_PORT",)),
        ProcessSpec("inference-shadow", "inference", arguments=("--role", "shadow")),
        ProcessSpec("shadow-comparator", "shadow_comparator"),
    ]


def training(options: DemoOptions, model: str, algorithm: str) -> JobSpec:
    """A training run on everything known before living begins."""
    return JobSpec(
        f"trainer-{algorithm}",
        "trainer",
        (
            "train",
            model,
            "--algorithm",
            algorithm,
            "--from",
            options.learn_from.isoformat(),
            "--until",
            options.live_from.isoformat(),
            "--json",
        ),
    )
