"""A project with a schedule that never comes."""

from late_project import *  # type: ignore[import-not-found] # noqa: F403
from monitoring.policies import Schedule

never = Schedule("never", model="asked", cron="0 0 30 2 *")
