"""The service's own settings; the chassis' stand in its `Settings`."""

from typing import Annotated

from pydantic import Field

import chassis


class Settings(chassis.Settings):
    """Set them in config/settings.toml, or in the environment: APP_ACCESS_SECONDS=600."""

    access_seconds: Annotated[
        int, Field(ge=10, le=86_400, description="How long an access token lasts; nothing can end it earlier.")
    ] = 900
    refresh_seconds: Annotated[
        int, Field(ge=60, description="How long a refresh token lasts; it can be used once.")
    ] = 604_800
    session_seconds: Annotated[
        int, Field(ge=60, description="After how long a person must log in again, however often it was refreshed.")
    ] = 2_592_000
    login_attempts: Annotated[
        int,
        Field(ge=1, description="How often a user name may be tried in that time; an address: ten times that."),
    ] = 10
    login_seconds: Annotated[float, Field(ge=1, description="The time in which log-ins are counted.")] = 900
    argon2_memory_kib: Annotated[
        int, Field(ge=8, le=4_194_304, description="The memory that hashing a password takes.")
    ] = 19_456
    argon2_passes: Annotated[int, Field(ge=1, le=100, description="How often hashing goes through it.")] = 2
    argon2_threads: Annotated[
        int, Field(ge=1, le=64, description="How many passwords a process hashes at once; the others wait.")
    ] = 2
