"""The tables, and the database that they live in: users, families of refresh tokens, attempts to log in."""

from sqlalchemy import Boolean, Column, Double, ForeignKey, MetaData, String, Table, Text

from chassis_database import NAMING_CONVENTION, Database, UtcDateTime

metadata = MetaData(naming_convention=NAMING_CONVENTION)

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("password", String(255), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# One row for a log-in and all tokens that were refreshed from it, whatever became of them.
families = Table(
    "families",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("user_id", String(32), ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token", String(64), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("revoked_at", UtcDateTime),
)

# When somebody may try again as often as at first, in seconds since the epoch: see `throttle`.
attempts = Table(
    "attempts",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("full_at", Double, nullable=False, index=True),
)

database = Database(package=__package__, metadata=metadata)
