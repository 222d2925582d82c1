"""Settings: read once at start, from files and then the environment, into one frozen object."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PREFIX = "APP_"
# Variables that platforms set by these names; APP_PORT wins over PORT.
USUAL_NAMES = {
    "PORT": "port",
    "LOG_LEVEL": "log_level",
    "WEB_CONCURRENCY": "web_concurrency",
    "ADMIN_PORT": "admin_port",
}

AnySettings = TypeVar("AnySettings", bound="Settings")
Layer = tuple[str, dict[str, Any]]


class SettingsError(Exception):
    """Settings that a service cannot start with: one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(BaseModel):
    """What every service can be told. A team adds its own in a subclass."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, description="The service's name for machines.")]
    title: Annotated[str, Field(description="The service's name for people.")] = ""
    description: Annotated[str, Field(description="What the service does, in one sentence.")] = ""
    environment: Annotated[str, Field(description="Where this process runs: development, staging, production …")] = (
        "development"
    )
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
    background_seconds: Annotated[
        float, Field(gt=0, description="How long background work may take after that, before it is cancelled.")
    ] = 10
    resource_seconds: Annotated[
        float, Field(gt=0, description="How long opening a resource at the start may take, and closing it at the end.")
    ] = 10
    check_seconds: Annotated[
        float, Field(gt=0, description="How long a readiness check of a backing service may take.")
    ] = 2
    ready_cache_seconds: Annotated[
        float, Field(ge=0, description="How long the results of readiness checks are good for.")
    ] = 1
    web_concurrency: Annotated[
        int, Field(ge=1, le=256, description="Processes that serve; more than one where no orchestrator starts more.")
    ] = 1
    admin_port: Annotated[
        int, Field(ge=0, le=65535, description="A port of its own for /metrics; 0 serves it on the main port.")
    ] = 0
    commit: Annotated[str, Field(description="The commit that this was built from, shown in app_info.")] = "unknown"
    response_headers: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], Annotated[str, Field(pattern=r"^[ -~]*$")]],
        Field(description="Headers of every response, over the chassis' security headers; an empty one is left out."),
    ] = {}
    hsts_seconds: Annotated[
        int, Field(ge=0, description="How long browsers insist on HTTPS (Strict-Transport-Security); 0 says nothing.")
    ] = 0
    cors_origins: Annotated[
        tuple[str, ...], Field(description='Origins whose pages may call this service; "*" means all. None: no CORS.')
    ] = ()
    cors_methods: Annotated[tuple[str, ...], Field(description='Methods that they may use; "*" means all.')] = ("*",)
    cors_headers: Annotated[
        tuple[str, ...], Field(description='Request headers that they may send; "*" means all.')
    ] = ("authorization", "content-type", "traceparent", "x-request-id")
    cors_credentials: Annotated[bool, Field(description="Whether they may send cookies.")] = False
    body_limit_bytes: Annotated[int, Field(ge=0, description="The largest request body; 0 takes any.")] = 1_048_576
    body_limit_bytes_at: Annotated[
        dict[str, Annotated[int, Field(ge=0)]], Field(description="The same below a path, such as /uploads.")
    ] = {}
    request_seconds: Annotated[
        float, Field(ge=0, description="How long a request may take until its response begins; 0: as long as it likes.")
    ] = 30
    request_seconds_at: Annotated[
        dict[str, Annotated[float, Field(ge=0)]], Field(description="The same below a path, such as /reports.")
    ] = {}
    concurrency_limit: Annotated[
        int, Field(ge=0, description="How many requests a process works on; more are turned away with 503. 0: any.")
    ] = 1000
    rate_limit_requests: Annotated[
        int, Field(ge=0, description="How many requests a client may send to one process in a window; 0: any.")
    ] = 0
    rate_limit_seconds: Annotated[float, Field(gt=0, description="The length of that window.")] = 60
    rate_limit_clients: Annotated[
        int, Field(gt=0, description="How many clients are remembered; beyond, the longest silent is forgotten.")
    ] = 10_000
    http_connect_seconds: Annotated[
        float, Field(gt=0, description="How long an outgoing call may wait for a connection.")
    ] = 3
    http_read_seconds: Annotated[
        float, Field(gt=0, description="How long an outgoing call may wait for the next bytes.")
    ] = 10
    http_total_seconds: Annotated[
        float, Field(gt=0, description="How long an outgoing call may take with all its attempts.")
    ] = 30
    http_attempts: Annotated[
        int, Field(ge=1, description="How often an idempotent outgoing call is tried; 1: never again.")
    ] = 3
    http_connections: Annotated[int, Field(gt=0, description="The most connections of the outgoing client.")] = 100


def load(model: type[AnySettings], *, environ: Mapping[str, str] | None = None) -> AnySettings:
    """Return the settings of this process.

    Later layers win: the defaults in `model`, `config/settings.toml`, `config/settings.<environment>.toml`,
    `config/.secrets.toml`, the variables of `environ` (by default this process's) with the prefix `APP_`; two
    underscores reach into a table. Raises SettingsError, which lists everything that is wrong.
    """
    environ = os.environ if environ is None else environ
    layers = [*_file_layers(_directory(environ), _environment(environ)), _variables(environ)]
    merged: dict[str, Any] = {}
    for _, values in layers:
        merged = _merge(merged, values)
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        raise SettingsError([_sentence(details, model, layers) for details in error.errors()]) from error


def _environment(environ: Mapping[str, str]) -> str:
    return environ.get(f"{PREFIX}ENVIRONMENT", "development")


def _directory(environ: Mapping[str, str]) -> Path:
    chosen = environ.get(f"{PREFIX}CONFIG_DIR")
    places = [Path(chosen)] if chosen else [Path.cwd() / "config", Path(__file__).parents[2] / "config"]
    for place in places:
        if (place / "settings.toml").is_file():
            return place
    looked = " and ".join(str(place / "settings.toml") for place in places)
    raise SettingsError([f"There is no {looked}. Start in the service's folder, or set {PREFIX}CONFIG_DIR."])


def _file_layers(directory: Path, environment: str) -> list[Layer]:
    # Imported here because it is a third of a second that `--help` need not wait for.
    from dynaconf import Dynaconf
    from dynaconf.utils.inspect import get_history

    # dynaconf reads the files; the environment is read by `_variables`, because dynaconf parses its values as
    # TOML first: a password of 1e5 would become 100000.0.
    files = Dynaconf(
        root_path=str(directory),
        settings_files=["settings.toml", f"settings.{environment}.toml", ".secrets.toml"],
        core_loaders=["TOML"],
        loaders=[],
        environments=False,
        load_dotenv=False,
    )
    return [
        (f"config/{Path(entry['identifier']).name}", {key.lower(): value for key, value in entry["value"].items()})
        for entry in get_history(files)
        if entry["loader"] == "toml"
    ]


def _variables(environ: Mapping[str, str]) -> Layer:
    values: dict[str, Any] = {field: environ[usual] for usual, field in USUAL_NAMES.items() if usual in environ}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable == f"{PREFIX}CONFIG_DIR":
            continue
        *tables, key = variable.removeprefix(PREFIX).lower().split("__")
        nested: Any = {key: value}
        for table in reversed(tables):
            nested = {table: nested}
        values = _merge(values, nested)
    return "the environment", values


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both_are_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both_are_tables else value
    return merged


def _sentence(details: Mapping[str, Any], model: type[Settings], layers: list[Layer]) -> str:
    path = [str(part) for part in details["loc"]]
    variable = PREFIX + "__".join(path).upper()
    source = next((name for name, values in reversed(layers) if path[0] in values), "nowhere")
    if details["type"] == "missing":
        return f"{'.'.join(path)} is not set. Set it in config/settings.toml, or {variable} in the environment."
    if details["type"] == "extra_forbidden":
        near = get_close_matches(path[0], model.model_fields, n=1)
        instead = f"Did you mean {PREFIX}{near[0].upper()}?" if near else "Remove it, or add it to Settings."
        return f"{'.'.join(path)}, set by {source}, is no setting of this service. {instead}"
    return f"{'.'.join(path)} ({variable}), set by {source}: {details['msg'][0].lower()}{details['msg'][1:]}."
