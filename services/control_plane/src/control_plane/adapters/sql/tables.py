"""The tables, as the newest migration leaves them."""

from sqlalchemy import (
    JSON,
    BigInteger,
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

models = Table(
    "models",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("registered_at_us", BigInteger, nullable=False),
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
    ForeignKeyConstraint(["model", "champion"], ["versions.model", "versions.version"]),
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
