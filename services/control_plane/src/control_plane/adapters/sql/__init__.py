"""The registry and the outbox in one SQL database, so that one transaction can change both."""

from control_plane.adapters.sql.database import Database, UnusableUrl
from control_plane.adapters.sql.migrations import migrate
from control_plane.adapters.sql.outbox import SqlOutbox
from control_plane.adapters.sql.registry import SqlRegistry

__all__ = ["Database", "SqlOutbox", "SqlRegistry", "UnusableUrl", "migrate"]
