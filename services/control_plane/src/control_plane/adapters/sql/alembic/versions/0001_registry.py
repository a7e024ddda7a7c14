"""Models, versions, routes, and the outbox with its turn."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Creates the first tables."""
    _create_versions()
    _create_routes()
    _create_outbox()


def _create_versions() -> None:
    op.create_table(
        "models",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("registered_at_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "versions",
        sa.Column("number", _Number, primary_key=True, autoincrement=True),
        sa.Column(
            "model", sa.String(128), sa.ForeignKey("models.name", name="fk_versions_model"), nullable=False
        ),
        sa.Column("version", sa.String(128), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("package_uri", sa.Text, nullable=False),
        sa.Column("registered_at_us", sa.BigInteger, nullable=False),
        sa.Column("package_name", sa.String(256), nullable=False),
        sa.Column("algorithm", sa.String(128), nullable=False),
        sa.Column("label", sa.String(128), nullable=False),
        sa.Column("feature_names", sa.JSON, nullable=False),
        sa.Column("contract_hash", sa.String(64), nullable=False),
        sa.Column("dataset_snapshot", sa.String(64), nullable=False),
        sa.Column("code_commit", sa.String(128), nullable=False),
        sa.Column("decision_threshold", sa.Float, nullable=False),
        sa.Column("metrics", sa.JSON, nullable=False),
        sa.Column("trained_from_us", sa.BigInteger, nullable=False),
        sa.Column("trained_until_us", sa.BigInteger, nullable=False),
        sa.Column("training_rows", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("model", "version", name="uq_versions_model_version"),
        sqlite_autoincrement=True,
    )


def _create_routes() -> None:
    op.create_table(
        "routes",
        sa.Column("model", sa.String(128), primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("champion", sa.String(128), nullable=False),
        sa.Column("shadows", sa.JSON, nullable=False),
        sa.Column("changed_at_us", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["model", "champion"], ["versions.model", "versions.version"], name="fk_routes_model_champion"
        ),
    )


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("number", _Number, primary_key=True, autoincrement=True),
        sa.Column("topic", sa.String(249), nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("event_id", sa.String(256), nullable=False),
        sa.Column("type", sa.String(256), nullable=False),
        sa.Column("source", sa.String(256), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        sa.Column("recorded_time_us", sa.BigInteger, nullable=False),
        sa.Column("traceparent", sa.String(64)),
        sa.Column("content_type", sa.String(128), nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("sent_at_us", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_sent_at_us_number", "outbox", ["sent_at_us", "number"])
    op.create_index("ix_outbox_topic_key_number", "outbox", ["topic", "key", "number"])
    turn = op.create_table(
        "outbox_turn",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("holder", sa.String(128), nullable=False),
        sa.Column("until_us", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(turn, [{"id": 1, "holder": "", "until_us": 0}])
