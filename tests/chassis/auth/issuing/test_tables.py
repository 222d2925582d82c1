from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from auth.issuing.people import Company
from chassis_auth.issuing.tables import metadata

pytestmark = pytest.mark.anyio


def differences(connection: Connection) -> Any:
    def ours(name: str | None, kind: str, parents: Any) -> bool:
        return kind != "table" or str(name).startswith("auth_")

    options = {"include_name": ours, "compare_type": True, "compare_server_default": True}
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


async def test_the_migrations_make_the_tables_that_the_code_has(staffed: Company) -> None:
    async with staffed.database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_difference_would_be_found(staffed: Company) -> None:
    async with staffed.database.engine.begin() as connection:
        await connection.exec_driver_sql("DROP INDEX ix_auth_attempts_full_at")
        assert "add_index" in str(await connection.run_sync(differences))
