"""Which processes the demo starts, and what each is told."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from tidemark_cli.platform import JobSpec, ProcessSpec

from examples.flights.demo.options import BAD, MODEL, TRAINER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_stack import LocalStack
    from tidemark_cli.platform import Platform

    from examples.flights.demo.options import DemoOptions

INFERENCE, CONTROL_PLANE = "inference", "control-plane"

# Questions come in bursts, some forty a second; twice a day of event time everything is waited for.
_GATHER_MS = "160"
_GATHER = f"PT0.{int(_GATHER_MS):03}S"
_BEAT = "PT0.05S"
_A_MONTH = timedelta(days=30)
_FOLLOWING = {"FOLLOW_BEAT_SECONDS": "1"}
_COMPARING = {
    # Flights end within hours. By age alone: what counts then depends on event time only.
    "COMPARISON_MATURE_AGE": "P2D",
    "COMPARISON_MATURE_COVERAGE": "1.1",
    "COMPARISON_BEAT": _BEAT,
    "JOIN_WAIT": _GATHER,
}


def environment(options: DemoOptions, stack: Mapping[str, str]) -> dict[str, str]:
    """What every process is told, beside its own ports."""
    folder = options.folder.resolve()
    return {
        **stack,
        "TIDEMARK_PROJECT": options.project,
        "TIDEMARK_STACK": "demo",
        "LAKE_URI": str(folder / "lake"),
        "PACKAGES_URI": str(folder / "packages"),
        "WORK_URI": str(folder / "work" / "trainer"),
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'control_plane.db'}",
        "LOG_FORMAT": "json",
        # One thread each: a dozen processes share the machine's cores.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "1",
        **options.settings,
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
        # Whoever trains waits for the last commit.
        ProcessSpec("archiver", "archiver", environment={"FLUSH_MS": "4000"}),
        ProcessSpec(CONTROL_PLANE, "control_plane", ports=("HTTP_PORT",)),
    ]


def living_services() -> list[ProcessSpec]:
    """What runs once there is a route: serving, shadow and comparison, and what closes the loop."""
    return [
        _serving(INFERENCE),
        ProcessSpec(
            "inference-shadow",
            "inference",
            arguments=("--role", "shadow"),
            environment=_FOLLOWING | {"SHADOW_WAIT_MS": _GATHER_MS},
        ),
        ProcessSpec("shadow-comparator", "shadow_comparator", environment=_COMPARING),
        ProcessSpec(
            "drift-detector", "drift_detector", environment={"DRIFT_WAIT": _GATHER, "DRIFT_BEAT": _BEAT}
        ),
        ProcessSpec("retrain-trigger", "retrain_trigger"),
        ProcessSpec("trainer", "trainer", arguments=("serve",)),
    ]


def more_replicas() -> list[ProcessSpec]:
    """Two more that serve, for the end: while living, one is enough and leaves the machine to the others."""
    return [_serving(f"{INFERENCE}-2"), _serving(f"{INFERENCE}-3")]


def serving_addresses(platform: Platform) -> list[str]:
    """Where the replicas that serve listen."""
    ports = [process.ports.get("GRPC_PORT") for process in platform.processes.values()]
    return [f"127.0.0.1:{port}" for port in ports if port is not None]


def _serving(name: str) -> ProcessSpec:
    # A dozen processes share the machine: a run that can be repeated to the last bit waits for its rows
    # longer than a product backend would.
    environment = _FOLLOWING | {"REDIS_DEADLINE_MS": "5000"}
    return ProcessSpec(name, "inference", environment=environment, ports=("GRPC_PORT",))


def training(options: DemoOptions, algorithm: str, until_us: int, seed: int) -> JobSpec:
    """A training run on everything known by a time; `seed` 0 leaves the model's own."""
    until = datetime.fromtimestamp(until_us / 1e6, UTC)
    # Noise is learned from a month as well as from six.
    from_ = max(options.learn_from, until - _A_MONTH) if algorithm == BAD else options.learn_from
    period = ("--from", from_.isoformat(), "--until", until.isoformat())
    seeded = ("--seed", str(seed)) if seed else ()
    arguments = ("train", MODEL, "--algorithm", algorithm, *period, *seeded, "--as", TRAINER, "--json")
    return JobSpec(f"trainer-{algorithm}", "trainer", arguments)


def cpu_seconds(platform: Platform, stack: LocalStack) -> dict[str, float]:
    """What each process has used so far, and this one."""
    pids: dict[str, int | None] = {
        process.name: process.pid for process in platform.processes.values() if process.running
    }
    pids |= {"kafka": stack.kafka.pid, "valkey": stack.valkey.nodes[0].pid, "demo": os.getpid()}
    used = {name: psutil.Process(pid).cpu_times() for name, pid in pids.items() if pid is not None}
    return {name: round(times.user + times.system, 1) for name, times in used.items()}
