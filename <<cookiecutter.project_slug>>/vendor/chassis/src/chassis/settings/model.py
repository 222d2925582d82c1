"""What every service can be told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from .levels import split_levels


def _known_levels(log_level: str) -> str:
    split_levels(log_level)  # raises what is wrong with it
    return log_level


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
        str,
        AfterValidator(_known_levels),
        Field(
            description="The least level that is logged, and that of single loggers.", examples=["info,asyncio=debug"]
        ),
    ] = "info"
    log_format: Annotated[
        Literal["auto", "json", "text"], Field(description="auto: text on a terminal, JSON lines elsewhere.")
    ] = "auto"
    log_config: Annotated[
        Path | None, Field(description="A logging configuration of your own, for dictConfig or fileConfig.")
    ] = None
    access_log: Annotated[
        Literal["direct", "logging", "off"],
        Field(description="direct: written without a detour. logging: through the loggers, for handlers of your own."),
    ] = "direct"
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
    head_limit_bytes: Annotated[
        int,
        Field(gt=0, description="The largest head of a request: its first line and its headers; larger ones get 431."),
    ] = 65_536
    head_limit_headers: Annotated[int, Field(gt=0, description="The most headers of a request; more get 431.")] = 100
    url_limit_bytes: Annotated[
        int, Field(gt=0, description="The longest path and query of a request; longer ones get 414.")
    ] = 8192
    head_seconds: Annotated[
        float, Field(gt=0, description="How long sending the head of a request may take; then the connection closes.")
    ] = 10
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
