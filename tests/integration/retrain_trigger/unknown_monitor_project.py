"""A project whose policy follows a monitor that nobody declared."""

from late_project import *  # type: ignore[import-not-found] # noqa: F403
from monitoring.policies import PersistentDrift

lost = PersistentDrift("lost", model="asked", monitor="input-drfit")
