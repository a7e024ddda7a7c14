"""Routes with arms and segments; those of before have none."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds what a route has beside its champion."""
    with op.batch_alter_table("routes") as table:
        table.add_column(sa.Column("experiment", sa.JSON, nullable=False, server_default="{}"))
