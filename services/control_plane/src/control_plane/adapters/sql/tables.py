"""The tables, as the newest migration leaves them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

# SQLite numbers rows by itself only when the column is called INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

# `revision` counts a model's changes: each commits only on the revision it was decided on.
models = Table(
    "models",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("registered_at_us", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False, server_default="1"),
    Column("event_time_us", BigInteger, nullable=False, server_default="0"),
    Column("abort_alert", JSON(none_as_null=True)),
)

versions = Table(
    "versions",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("model", ForeignKey("models.name"), nullable=False),
    Column("version", String(128), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("package_uri", Text, nullable=False),
    Column("registered_at_us", BigInteger, nullable=False),
    Column("package_name", String(256), nullable=False),
    Column("algorithm", String(128), nullable=False),
    Column("label", String(128), nullable=False),
    Column("feature_names", JSON, nullable=False),
    Column("contract_hash", String(64), nullable=False),
    Column("dataset_snapshot", String(64), nullable=False),
    Column("code_commit", String(128), nullable=False),
    Column("decision_threshold", Float, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("trained_from_us", BigInteger, nullable=False),
    Column("trained_until_us", BigInteger, nullable=False),
    Column("training_rows", BigInteger, nullable=False),
    Column("registered_by", String(128), nullable=False, server_default=""),
    Column("owner", String(256), nullable=False, server_default=""),
    Column("risk", String(32), nullable=False, server_default=""),
    Column("retrain_request_id", String(512), nullable=False, server_default=""),
    Column("gates", JSON, nullable=False, server_default="[]"),
    Column("evaluations", JSON, nullable=False, server_default="[]"),
    Column("standing", String(16), nullable=False, server_default="UNDECIDED"),
    Column("routed", Boolean, nullable=False, server_default="0"),
    Column("withdrawn", Boolean, nullable=False, server_default="0"),
    UniqueConstraint("model", "version"),
    sqlite_autoincrement=True,
)

# Every revision is kept: the route in force is the one with the highest.
routes = Table(
    "routes",
    metadata,
    Column("model", String(128), primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("champion", String(128), nullable=False),
    Column("shadows", JSON, nullable=False),
    Column("changed_at_us", BigInteger, nullable=False),
    Column("canary", String(128)),
    Column("canary_basis_points", Integer, nullable=False, server_default="0"),
    Column("salt", String(256), nullable=False, server_default=""),
    Column("experiment", JSON, nullable=False, server_default="{}"),
    ForeignKeyConstraint(["model", "champion"], ["versions.model", "versions.version"]),
)

approvals = Table(
    "approvals",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("approval_id", String(512), nullable=False, unique=True),
    Column("subject", String(16), nullable=False),
    Column("subject_id", String(512), nullable=False),
    Column("model", ForeignKey("models.name"), nullable=False),
    Column("opened_at_us", BigInteger, nullable=False),
    Column("expires_at_us", BigInteger),
    Column("request", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("decided_by", String(128), nullable=False),
    Column("comment", Text, nullable=False),
    Column("waived_gates", JSON, nullable=False),
    Column("decided_at_us", BigInteger),
    Index(None, "model", "state"),
    sqlite_autoincrement=True,
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("rollout_id", String(256), nullable=False, unique=True),
    Column("model", ForeignKey("models.name"), nullable=False),
    Column("version", String(128), nullable=False),
    Column("previous", String(128), nullable=False),
    Column("plan", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("step", Integer, nullable=False),
    Column("base_shadows", JSON, nullable=False),
    Column("started_by", String(128), nullable=False),
    Column("began_us", BigInteger, nullable=False),
    Column("step_began_us", BigInteger, nullable=False),
    Column("judged", JSON, nullable=False),
    Column("moves", JSON, nullable=False),
    ForeignKeyConstraint(["model", "version"], ["versions.model", "versions.version"]),
    Index(None, "model", "state"),
    sqlite_autoincrement=True,
)

# Rows are only ever added. What the hashes cover: docs/formats.md.
audit = Table(
    "audit",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("recorded_at_us", BigInteger, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("model", String(128), nullable=False),
    Column("subject", String(512), nullable=False),
    Column("details", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

# One row: where the audit ends. Whoever appends locks it, and a link cut off the end is missed.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=True),
    Column("topic", String(249), nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("event_id", String(256), nullable=False),
    Column("type", String(256), nullable=False),
    Column("source", String(256), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("recorded_time_us", BigInteger, nullable=False),
    Column("traceparent", String(64)),
    Column("content_type", String(128), nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("sent_at_us", BigInteger),
    Index(None, "sent_at_us", "number"),
    Index(None, "topic", "key", "number"),
    sqlite_autoincrement=True,
)

# One row: whose turn it is to publish, see docs/adr/0008-outbox.md.
outbox_turn = Table(
    "outbox_turn",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", String(128), nullable=False),
    Column("until_us", BigInteger, nullable=False),
)
