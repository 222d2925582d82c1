"""Settings: what a service can be told, from files and then the environment."""

from .layers import UNPREFIXED_VARIABLES
from .model import Settings
from .places import SettingsError
from .reading import SettingsRead, load, read

__all__ = ["UNPREFIXED_VARIABLES", "Settings", "SettingsError", "SettingsRead", "load", "read"]
