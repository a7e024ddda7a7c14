"""A project's policies, checked against everything else that it declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from feature_store import declared, load_project
from monitoring.monitors import Monitor, check_monitors
from monitoring.policies import Policy, Schedule, check_policies

from retrain_trigger.domain.rules import Rules
from retrain_trigger.domain.times import next_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def rules_of(module: str) -> Mapping[str, Rules]:
    """Return the rules of every model of a project.

    Raises:
        DefinitionError: The project cannot be loaded.
        DeclarationError: A monitor or policy makes no sense, or names what is not there.
    """
    project = load_project(module)
    monitors = declared(module, "monitors", Monitor)  # type: ignore[type-abstract] # subclasses are
    policies = declared(module, "policies", Policy)  # type: ignore[type-abstract] # subclasses are
    features = {
        name: [feature.full_name for feature in model.features] for name, model in project.models.items()
    }
    tasks = {name: model.task for name, model in project.models.items()}
    check_monitors(monitors, features, tasks)
    algorithms = {name: list(model.algorithms) for name, model in project.models.items()}
    check_policies(policies, monitors, features, algorithms)
    check_schedules(policies)
    return {name: Rules.of(name, policies, monitors) for name in project.models}


def check_schedules(policies: Iterable[Policy]) -> None:
    """Check that every schedule comes some day.

    Raises:
        DeclarationError: One does not.
    """
    for policy in policies:
        if isinstance(policy, Schedule) and next_time(policy.cron, 0) is None:
            raise policy.checker.refuse(
                f"cron {policy.cron!r} never comes", "Write days that the month has, such as 1-28."
            )
