"""Starts Tidemark's services as processes of their own, watches them and leaves none behind."""

from tidemark_cli.platform.failures import JobFailed, NotReady, PlatformError, ProcessDied
from tidemark_cli.platform.metrics import Metrics
from tidemark_cli.platform.process import PlatformProcess
from tidemark_cli.platform.specs import Deadlines, JobSpec, ProcessSpec
from tidemark_cli.platform.supervisor import Platform

__all__ = [
    "Deadlines",
    "JobFailed",
    "JobSpec",
    "Metrics",
    "NotReady",
    "Platform",
    "PlatformError",
    "PlatformProcess",
    "ProcessDied",
    "ProcessSpec",
]
