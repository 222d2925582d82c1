"""What can be set of the tables and what they live in."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from .address import valid


class DatabaseSettings(BaseModel):
    """The settings that the capability `database` adds to a service's."""

    database_url: Annotated[
        str,
        AfterValidator(valid),
        Field(description="Where the data live: sqlite:///a/file.db, or postgresql://user:password@host:5432/name."),
    ] = "sqlite:///data/service.db"
    database_pool_size: Annotated[
        int, Field(ge=1, le=1000, description="The most connections to the database that a process has.")
    ] = 10
    database_pool_seconds: Annotated[
        float, Field(gt=0, description="How long to wait for a free connection to the database.")
    ] = 3
    database_connect_seconds: Annotated[
        float, Field(gt=0, description="How long connecting to the database may take.")
    ] = 3
    database_statement_seconds: Annotated[
        float, Field(gt=0, description="How long a statement may take in the database.")
    ] = 5
    database_slow_seconds: Annotated[
        float, Field(ge=0, description="A statement that takes longer is logged; 0 logs none.")
    ] = 0.5
