"""The service's own settings; the chassis' stand in its `Settings`."""

from typing import Annotated

from pydantic import Field

import chassis


class Settings(chassis.Settings):
    """Set them in config/settings.toml, or in the environment: APP_POLL_CONCURRENCY=200."""

    contact: Annotated[str, Field(min_length=1, description="Where those who are asked find out who asks.")]
    poll_concurrency: Annotated[int, Field(ge=1, description="URLs that a process asks at the same time.")] = 100
    poll_per_host: Annotated[int, Field(ge=1, description="Of these, how many of one host.")] = 8
    poll_seconds: Annotated[float, Field(gt=0, description="How long a URL may take, with all its attempts.")] = 30
    poll_connect_seconds: Annotated[float, Field(gt=0, description="How long connecting may take.")] = 5
    poll_read_seconds: Annotated[float, Field(gt=0, description="How long the next bytes may take.")] = 10
    poll_attempts: Annotated[int, Field(ge=1, description="How often a URL is asked that could not answer.")] = 2
    poll_redirects: Annotated[int, Field(ge=0, description="How many redirects are followed.")] = 5
    poll_body_bytes: Annotated[int, Field(ge=0, description="The largest body; it is read and not kept.")] = 1_048_576
    poll_ports: Annotated[tuple[int, ...], Field(description="Ports that are asked; none: all.")] = (
        80,
        443,
        8000,
        8080,
        8443,
    )
    poll_private: Annotated[
        bool, Field(description="Ask addresses that are not on the public internet, too: for tests.")
    ] = False
    poll_keep_days: Annotated[float, Field(gt=0, description="For how long a task and its results are kept.")] = 7
