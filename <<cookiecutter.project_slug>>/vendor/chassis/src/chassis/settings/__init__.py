"""Settings: what a service can be told, from files and then the environment."""

from .model import Settings
from .places import SettingsError
from .reading import SettingsRead, load, read

__all__ = ["Settings", "SettingsError", "SettingsRead", "load", "read"]
