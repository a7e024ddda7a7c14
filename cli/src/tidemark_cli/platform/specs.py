"""What to run: values only, so that a caller can list a whole platform before starting any of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One service to run as `python -m <module> <arguments>`.

    `ports` names environment variables (such as `GRPC_PORT`) that each get a free port of their own, which
    stays the same across restarts. `METRICS_PORT` is always given.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A command that ends by itself, run as `python -m <module> <arguments>`; it answers by printing."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a process may take to become ready, and to stop after SIGTERM before it is killed."""

    ready_seconds: float = 60.0
    stop_seconds: float = 20.0
