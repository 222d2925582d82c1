"""The service's own settings; the chassis' stand in its `Settings`."""

from typing import Annotated

from pydantic import Field

import chassis


class Settings(chassis.Settings):
    """Set them in config/settings.toml, or in the environment: APP_GREETING=Hi.

    A secret is a `SecretStr`, without a default or `SecretStr | None = None`; settings that belong together are a
    pydantic model of their own: APP_CACHE__URL sets `cache.url`.
    """

    greeting: Annotated[str, Field(min_length=1, description="What the service says before a name.")] = "Hello"
