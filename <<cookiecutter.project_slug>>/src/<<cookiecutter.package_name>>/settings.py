"""The service's own settings; the chassis' stand in its `Settings`."""

import chassis


class Settings(chassis.Settings):
    """Set them in config/settings.toml, or in the environment: APP_GREETING=Hi."""

    greeting: str = "Hello"
