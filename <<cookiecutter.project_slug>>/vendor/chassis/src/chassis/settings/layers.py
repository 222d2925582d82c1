"""The layers that settings come from, lowest first: files, the secrets directory, .env, the environment."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from .files import dotenv_texts, read_text, secret_files, toml_tables
from .places import ENVIRONMENT, ENVIRONMENTS, PREFIX, SIGNPOSTS, Places
from .types import SettingPath, UnknownSettingError, setting_type, text_value

# What platforms set by these names: the setting of that name, where a service has one. APP_PORT beats PORT.
UNPREFIXED_VARIABLES = ("ADMIN_PORT", "BROKER_URL", "DATABASE_URL", "LOG_LEVEL", "PORT", "WEB_CONCURRENCY")
# Kubernetes describes every service of a namespace so; one called "app" or "app-db" bears our prefix.
KUBERNETES = re.compile(
    r"APP(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)"
)
KUBERNETES_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


class Given(NamedTuple):
    """One value as one layer gives it."""

    path: SettingPath
    value: Any
    layer: str
    """Such as config/settings.toml, /run/secrets, .env, environment."""
    name: str
    """What the layer calls it: port, APP_PORT, PORT."""

    def __repr__(self) -> str:
        return f"Given({self.path}, layer={self.layer!r}, name={self.name!r})"  # the value may be secret


@dataclass
class Readings:
    """What all layers say, lowest first, and what is wrong with it."""

    model: type[BaseModel]
    given: list[Given] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def take_text(self, path: SettingPath, text: str, layer: str, name: str) -> None:
        """Take what a variable or a secret's file says. Raises UnknownSettingError."""
        annotation = setting_type(self.model, path)
        try:
            value = text_value(text, annotation)
        except ValueError as error:
            self.problems.append(f"{'.'.join(path)}, set by {origin(layer, name)}: {error}.")
        else:
            self.take(path, value, layer, name)

    def take(self, path: SettingPath, value: Any, layer: str, name: str = "") -> None:
        """Take `value`, a table leaf by leaf, so that a later layer can change one of them."""
        for leaf, inner in _leaves(path, value):
            try:
                setting_type(self.model, leaf)
            except UnknownSettingError as error:
                self.refuse_unknown(error, layer, name or ".".join(error.path))
            else:
                self.given.append(Given(leaf, inner, layer, name or ".".join(leaf)))

    def refuse_unknown(self, error: UnknownSettingError, layer: str, name: str) -> None:
        """Note that `name` is no setting, with the one that was probably meant."""
        problem = f"{origin(layer, name)}: this service has no setting {'.'.join(error.path)}. {_instead(error, layer)}"
        if problem not in self.problems:  # once for a table, however much stands in it
            self.problems.append(problem)


def origin(layer: str, name: str) -> str:
    """Where a value comes from, in words: "APP_PORT in the environment"."""
    if Path(layer).is_absolute():
        return f"the file {Path(layer) / name}"
    return f"{name} in {'the environment' if layer == 'environment' else layer}"


def variable(path: SettingPath) -> str:
    """The environment variable of the setting at `path`."""
    return PREFIX + "__".join(path).upper()


def read_layers(model: type[BaseModel], places: Places, environ: Mapping[str, str]) -> Readings:
    """Read every layer; nothing is raised, everything that is wrong stands in the readings' problems."""
    readings = Readings(model)
    for layer, table in toml_tables(places, readings.problems):
        readings.take((), table, layer)
    for file in secret_files(places, readings.problems):
        _take_secret(readings, file, str(places.secrets))
    dotenv = dotenv_texts(places, readings.problems)
    _take_variables(readings, dotenv, ".env")
    readings.problems.extend(_too_late(dotenv, environ))
    _take_variables(readings, environ, "environment")
    readings.problems.extend(_elsewhere(readings.given, places.environment))
    return readings


def _elsewhere(given: Iterable[Given], environment: str) -> Iterator[str]:
    for each in given:
        said_late = each.path == ("environment",) and (each.layer, each.name) != ("environment", ENVIRONMENT)
        if said_late and each.value != environment:
            yield (
                f"{origin(each.layer, each.name)}: which environment this is decides what is read, so only "
                f"{ENVIRONMENT} in the environment can say it, and there it is {environment}."
            )


def _leaves(path: SettingPath, value: Any) -> Iterator[tuple[SettingPath, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves((*path, str(key)), inner)
    else:
        yield path, value


def _take_secret(readings: Readings, file: Path, layer: str) -> None:
    bare = file.name.upper().removeprefix(PREFIX)
    try:
        setting_type(readings.model, _path(bare))
        text = read_text(file, f"The secrets directory: {file}", readings.problems)
        if text is not None:
            readings.take_text(_path(bare), text, layer, file.name)
    except UnknownSettingError as error:
        # The directory is shared with certificates and other things that are no settings.
        if bare != file.name.upper():
            readings.refuse_unknown(error, layer, file.name)


def _take_variables(readings: Readings, texts: Mapping[str, str], layer: str) -> None:
    for name in sorted(_ours(readings.model, texts), key=lambda name: (name.startswith(PREFIX), name)):
        try:
            _take_variable(readings, name, texts, layer)
        except UnknownSettingError as error:
            if not KUBERNETES.fullmatch(name):
                readings.refuse_unknown(error, layer, name)


def _ours(model: type[BaseModel], texts: Mapping[str, str]) -> Iterable[str]:
    for name, text in texts.items():
        unprefixed = name in UNPREFIXED_VARIABLES and name.lower() in model.model_fields
        ours = name.startswith(PREFIX) and name not in SIGNPOSTS
        if (unprefixed or ours) and not (name.endswith("_PORT") and KUBERNETES_ADDRESS.match(text)):
            yield name


def _take_variable(readings: Readings, name: str, texts: Mapping[str, str], layer: str) -> None:
    bare = name.removeprefix(PREFIX)
    if bare != bare.upper():
        raise UnknownSettingError((bare,), list(readings.model.model_fields))
    try:
        readings.take_text(_path(bare), texts[name], layer, name)
    except UnknownSettingError as unknown:
        if not name.endswith("_FILE"):
            raise
        _take_named_file(readings, name, texts, layer, unknown)


def _take_named_file(
    readings: Readings, name: str, texts: Mapping[str, str], layer: str, unknown: UnknownSettingError
) -> None:
    """Take the text of the file that a variable such as APP_TOKEN_FILE names, as Docker's images do."""
    path = _path(name.removeprefix(PREFIX).removesuffix("_FILE"))
    try:
        setting_type(readings.model, path)
    except UnknownSettingError:
        raise unknown from None
    if name.removesuffix("_FILE") in texts:
        readings.problems.append(
            f"{origin(layer, name)}: {name.removesuffix('_FILE')} is set as well. Set one of them."
        )
    text = read_text(Path(texts[name]), f"{origin(layer, name)}: {texts[name]}", readings.problems)
    if text is not None:
        readings.take_text(path, text, layer, name)


def _path(bare: str) -> SettingPath:
    return tuple(bare.lower().split("__"))


def _too_late(dotenv: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[str]:
    for name in dotenv:
        if name in SIGNPOSTS:
            yield f"{name} in .env: it says where to read, so it can be set in the environment only."
        elif name.startswith("OTEL_") and environ.get(name) != dotenv[name]:
            yield f"{name} in .env: OpenTelemetry reads the environment only. Load it there: set -a; . ./.env; set +a"


def _instead(error: UnknownSettingError, layer: str) -> str:
    *tables, name = error.path
    # What has no setting may be a signpost that is misspelt.
    signposts = [] if tables else [each.removeprefix(PREFIX).lower() for each in SIGNPOSTS]
    if near := get_close_matches(name.lower(), [*error.candidates, *signposts], n=1):
        meant = (*tables, near[0])
        return f"Did you mean {'.'.join(meant) if layer.endswith('.toml') else variable(meant)}?"
    if tables and not error.candidates:
        return f"{'.'.join(tables)} is a single value, not a table."
    if layer.endswith(".toml") and name in {*ENVIRONMENTS, "default", "global"}:
        return f"Sections of a file are not read: put it into config/settings.{name}.toml."
    return "Remove it, or add it to Settings."
