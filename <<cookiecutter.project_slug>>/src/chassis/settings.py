"""Settings: read once at start, from files and then the environment, into one frozen object."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .explain import invalid, left_at_default
from .layers import Given, SettingsError, find_places, read_layers

__all__ = ["Settings", "SettingsError", "SettingsRead", "load", "read"]

AnySettings = TypeVar("AnySettings", bound="Settings")


class Settings(BaseModel):
    """What every service can be told. A team adds its own in a subclass, nested models and secrets among them:

        class Cache(BaseModel, frozen=True):
            url: str = "redis://localhost"
            password: SecretStr | None = None  # APP_CACHE__PASSWORD

        class Settings(chassis.Settings):
            greeting: Annotated[str, Field(min_length=1, description="What the service says.")] = "Hello"
            cache: Cache = Cache()

    What is typed `SecretStr` is never shown, and outside development and test it may not be left at its default: one
    that may be absent is `SecretStr | None = None`, one that must be there has no default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    name: Annotated[str, Field(min_length=1, description="The service's name for machines.", examples=["my-service"])]
    title: Annotated[str, Field(description="The service's name for people.")] = ""
    description: Annotated[str, Field(description="What the service does, in one sentence.")] = ""
    environment: Annotated[
        str, Field(description="Where this process runs: development, test, staging, production, or one of your own.")
    ] = "development"
    commit: Annotated[str, Field(description="The commit that was built; the image's build sets it.")] = ""
    host: Annotated[str, Field(description="The address to listen on; 0.0.0.0 in a container.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="The port to listen on; 0 takes a free one.")] = 8000
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], Field(description="The least level that is logged.")
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "text"], Field(description="auto: text on a terminal, JSON lines elsewhere.")
    ] = "auto"
    docs: Annotated[bool, Field(description="Serve the API docs at /docs.")] = True
    drain_seconds: Annotated[
        float, Field(ge=0, description="How long to keep serving after SIGTERM, while readiness is red.")
    ] = 0
    shutdown_seconds: Annotated[
        int, Field(gt=0, description="How long requests in flight may take after that, before they are cancelled.")
    ] = 20


@dataclass(frozen=True)
class SettingsRead(Generic[AnySettings]):
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
    environ = os.environ if environ is None else environ
    places = find_places(environ, default_environment=model.model_fields["environment"].default)
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
