"""Settings: read once at start, from files and then the environment, into one frozen object."""

import os
from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from ..parts import complete
from .explain import invalid, left_at_default
from .layers import Given, read_layers
from .model import Settings
from .places import SettingsError, find_places

AnySettings = TypeVar("AnySettings", bound=Settings)


class SettingsRead(NamedTuple, Generic[AnySettings]):
    """The settings of a process, and what the layers gave, lowest first: the last that names a setting has set it."""

    settings: AnySettings
    given: tuple[Given, ...]


def load(model: type[AnySettings], *, environ: Mapping[str, str] | None = None) -> AnySettings:
    """Return the settings of this process.

    Later layers win: the defaults in `model`; `config/settings.toml`; `config/settings.<environment>.toml`;
    `config/.secrets.toml`; the files in the secrets directory (`/run/secrets`, or what APP_SECRETS_DIR says), each
    named as a setting; `.env` beside config/, in development only; the variables of `environ` (by default this
    process's) with the prefix `APP_`, or called PORT, LOG_LEVEL and the like. APP_ENVIRONMENT chooses the environment,
    APP_CONFIG_DIR another config/.

    Two underscores reach into a table, `APP_X_FILE` names a file to read setting `x` from, and lists are split at
    commas or written as JSON. Tables of several layers are merged, lists are replaced. Raises SettingsError, which
    lists everything that is wrong.
    """
    return read(model, environ=environ).settings


def read(model: type[AnySettings], *, environ: Mapping[str, str] | None = None) -> SettingsRead[AnySettings]:
    """As `load`, with the layer that each value came from."""
    model = complete(model)
    environ = os.environ if environ is None else environ
    places = find_places(model, environ)
    readings = read_layers(model, places, environ)
    given, problems, settings = readings.given, readings.problems, None
    try:
        settings = model.model_validate(_merged(given))
    except ValidationError as error:
        problems += invalid(error, model, given)
    problems += left_at_default(settings, model, given, environment=places.environment)
    if settings is None or problems:
        raise SettingsError(problems)
    return SettingsRead(settings, tuple(given))


def _merged(given: list[Given]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for path, value, *_ in given:
        table = merged
        for key in path[:-1]:
            if not isinstance(table.get(key), dict):
                table[key] = {}
            table = table[key]
        if value != {} or not isinstance(table.get(path[-1]), dict):  # an empty table takes nothing away
            table[path[-1]] = value
    return merged
