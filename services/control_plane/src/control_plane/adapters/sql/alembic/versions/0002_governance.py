"""Approvals, rollouts, the audit; what served before counts as approved."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_ACTOR = "system:migration"


def upgrade() -> None:
    """Extends the registry's tables and adds those of governance."""
    _extend_models()
    _extend_versions()
    _extend_routes()
    _create_approvals()
    _create_rollouts()
    _create_audit()
    _carry_over()


def _extend_models() -> None:
    with op.batch_alter_table("models") as table:
        table.add_column(sa.Column("revision", sa.BigInteger, nullable=False, server_default="1"))
        table.add_column(sa.Column("event_time_us", sa.BigInteger, nullable=False, server_default="0"))
        table.add_column(sa.Column("abort_alert", sa.JSON))


def _extend_versions() -> None:
    with op.batch_alter_table("versions") as table:
        for name, length in (
            ("registered_by", 128),
            ("owner", 256),
            ("risk", 32),
            ("retrain_request_id", 512),
        ):
            table.add_column(sa.Column(name, sa.String(length), nullable=False, server_default=""))
        for name in ("gates", "evaluations"):
            table.add_column(sa.Column(name, sa.JSON, nullable=False, server_default="[]"))
        table.add_column(sa.Column("standing", sa.String(16), nullable=False, server_default="UNDECIDED"))
        for name in ("routed", "withdrawn"):
            table.add_column(sa.Column(name, sa.Boolean, nullable=False, server_default="0"))


def _extend_routes() -> None:
    with op.batch_alter_table("routes") as table:
        table.add_column(sa.Column("canary", sa.String(128)))
        table.add_column(sa.Column("canary_basis_points", sa.Integer, nullable=False, server_default="0"))
        table.add_column(sa.Column("salt", sa.String(256), nullable=False, server_default=""))


def _create_approvals() -> None:
    op.create_table(
        "approvals",
        sa.Column("number", _Number, primary_key=True, autoincrement=True),
        sa.Column("approval_id", sa.String(512), nullable=False),
        sa.Column("subject", sa.String(16), nullable=False),
        sa.Column("subject_id", sa.String(512), nullable=False),
        sa.Column(
            "model", sa.String(128), sa.ForeignKey("models.name", name="fk_approvals_model"), nullable=False
        ),
        sa.Column("opened_at_us", sa.BigInteger, nullable=False),
        sa.Column("expires_at_us", sa.BigInteger),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("decided_by", sa.String(128), nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("waived_gates", sa.JSON, nullable=False),
        sa.Column("decided_at_us", sa.BigInteger),
        sa.UniqueConstraint("approval_id", name="uq_approvals_approval_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_approvals_model_state", "approvals", ["model", "state"])


def _create_rollouts() -> None:
    op.create_table(
        "rollouts",
        sa.Column("number", _Number, primary_key=True, autoincrement=True),
        sa.Column("rollout_id", sa.String(256), nullable=False),
        sa.Column(
            "model", sa.String(128), sa.ForeignKey("models.name", name="fk_rollouts_model"), nullable=False
        ),
        sa.Column("version", sa.String(128), nullable=False),
        sa.Column("previous", sa.String(128), nullable=False),
        sa.Column("plan", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("base_shadows", sa.JSON, nullable=False),
        sa.Column("started_by", sa.String(128), nullable=False),
        sa.Column("began_us", sa.BigInteger, nullable=False),
        sa.Column("step_began_us", sa.BigInteger, nullable=False),
        sa.Column("judged", sa.JSON, nullable=False),
        sa.Column("moves", sa.JSON, nullable=False),
        sa.UniqueConstraint("rollout_id", name="uq_rollouts_rollout_id"),
        sa.ForeignKeyConstraint(
            ["model", "version"], ["versions.model", "versions.version"], name="fk_rollouts_model_version"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_rollouts_model_state", "rollouts", ["model", "state"])


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("recorded_at_us", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("subject", sa.String(512), nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "sequence": 0, "hash": "0" * 64}])


def _carry_over() -> None:
    """Whoever was champion is approved, whoever was routed is so marked; the others wait for approval."""
    connection = op.get_bind()
    connection.execute(sa.text("UPDATE models SET revision = 1"))
    routes = connection.execute(sa.text("SELECT model, champion FROM routes")).all()
    champions = {(row.model, row.champion) for row in routes}
    shadows = {
        (row.model, name)
        for row in connection.execute(sa.select(_routes.c.model, _routes.c.shadows))
        for name in row.shadows
    }
    for row in connection.execute(sa.select(_versions).order_by(_versions.c.number)).all():
        key = (row.model, row.version)
        approved = key in champions
        connection.execute(
            sa.update(_versions)
            .where(_versions.c.number == row.number)
            .values(
                standing="APPROVED" if approved else "UNDECIDED", routed=key in champions or key in shadows
            )
        )
        connection.execute(sa.insert(_approvals).values(_approval(row, approved=approved)))


def _approval(row: sa.Row, *, approved: bool) -> dict[str, object]:
    return {
        "approval_id": f"version:{row.model}:{row.version}",
        "subject": "VERSION",
        "subject_id": row.version,
        "model": row.model,
        "opened_at_us": row.registered_at_us,
        "request": {},
        "state": "APPROVED" if approved else "PENDING",
        "decided_by": _ACTOR if approved else "",
        "comment": "It was champion before approvals were asked for." if approved else "",
        "waived_gates": [],
        "decided_at_us": row.registered_at_us if approved else None,
    }


_routes = sa.table("routes", sa.column("model"), sa.column("shadows", sa.JSON))
_versions = sa.table(
    "versions",
    sa.column("number"),
    sa.column("model"),
    sa.column("version"),
    sa.column("registered_at_us"),
    sa.column("standing"),
    sa.column("routed", sa.Boolean),
)
_approvals = sa.table(
    "approvals",
    *(
        sa.column(name)
        for name in (
            "approval_id",
            "subject",
            "subject_id",
            "model",
            "opened_at_us",
            "state",
            "decided_by",
            "comment",
            "decided_at_us",
        )
    ),
    sa.column("request", sa.JSON),
    sa.column("waived_gates", sa.JSON),
)
