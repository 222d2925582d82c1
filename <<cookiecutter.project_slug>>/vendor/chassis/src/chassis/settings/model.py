"""What every service can be told."""

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

    # Built when it is read: only the class with the settings of the team and of all parts is ever needed.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True, defer_build=True
    )

    name: str = Field(min_length=1, description="The service's name for machines.", examples=["my-service"])
    title: str = Field("", description="The service's name for people.")
    description: str = Field("", description="What the service does, in one sentence.")
    environment: str = Field(
        "development",
        description="Where this process runs: development, test, staging, production, or one of your own.",
    )
    commit: str = Field("", description="The commit that was built; the image's build sets it.")
    host: str = Field("127.0.0.1", description="The address to listen on; 0.0.0.0 in a container.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    log_level: Annotated[str, AfterValidator(_known_levels)] = Field(
        "info",
        description="The least level that is logged, and that of single loggers.",
        examples=["info,asyncio=debug"],
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="auto: text on a terminal, JSON lines elsewhere."
    )
    log_config: Path | None = Field(
        None, description="A logging configuration of your own, for dictConfig or fileConfig."
    )
    access_log: Literal["direct", "logging", "off"] = Field(
        "direct",
        description="direct: written without a detour. logging: through the loggers, for handlers of your own.",
    )
    docs: bool = Field(True, description="Serve the API docs at /docs.")
    drain_seconds: float = Field(0, ge=0, description="How long to keep serving after SIGTERM, while readiness is red.")
    shutdown_seconds: int = Field(
        20, gt=0, description="How long requests in flight may take after that, before they are cancelled."
    )
    background_seconds: float = Field(
        10, gt=0, description="How long background work may take after that, before it is cancelled."
    )
    resource_seconds: float = Field(
        10, gt=0, description="How long opening a resource at the start may take, and closing it at the end."
    )
    check_seconds: float = Field(2, gt=0, description="How long a readiness check of a backing service may take.")
    ready_cache_seconds: float = Field(1, ge=0, description="How long the results of readiness checks are good for.")
    web_concurrency: int = Field(
        1, ge=1, le=256, description="Processes that serve; more than one where no orchestrator starts more."
    )
    admin_port: int = Field(
        0, ge=0, le=65535, description="A port of its own for /metrics; 0 serves it on the main port."
    )
    response_headers: dict[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], Annotated[str, Field(pattern=r"^[ -~]*$")]
    ] = Field(
        {}, description="Headers of every response, over the chassis' security headers; an empty one is left out."
    )
    hsts_seconds: int = Field(
        0, ge=0, description="How long browsers insist on HTTPS (Strict-Transport-Security); 0 says nothing."
    )
    cors_origins: tuple[str, ...] = Field(
        (), description='Origins whose pages may call this service; "*" means all. None: no CORS.'
    )
    cors_methods: tuple[str, ...] = Field(("*",), description='Methods that they may use; "*" means all.')
    cors_headers: tuple[str, ...] = Field(
        ("authorization", "content-type", "traceparent", "x-request-id"),
        description='Request headers that they may send; "*" means all.',
    )
    cors_credentials: bool = Field(False, description="Whether they may send cookies.")
    head_limit_bytes: int = Field(
        65_536, gt=0, description="The largest head of a request: its first line and its headers; larger ones get 431."
    )
    head_limit_headers: int = Field(100, gt=0, description="The most headers of a request; more get 431.")
    url_limit_bytes: int = Field(
        8192, gt=0, description="The longest path and query of a request; longer ones get 414."
    )
    head_seconds: float = Field(
        10, gt=0, description="How long sending the head of a request may take; then the connection closes."
    )
    body_limit_bytes: int = Field(1_048_576, ge=0, description="The largest request body; 0 takes any.")
    body_limit_bytes_at: dict[str, Annotated[int, Field(ge=0)]] = Field(
        {}, description="The same below a path, such as /uploads."
    )
    request_seconds: float = Field(
        30, ge=0, description="How long a request may take until its response begins; 0: as long as it likes."
    )
    request_seconds_at: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {}, description="The same below a path, such as /reports."
    )
    concurrency_limit: int = Field(
        1000, ge=0, description="How many requests a process works on; more are turned away with 503. 0: any."
    )
    rate_limit_requests: int = Field(
        0, ge=0, description="How many requests a client may send to one process in a window; 0: any."
    )
    rate_limit_seconds: float = Field(60, gt=0, description="The length of that window.")
    rate_limit_clients: int = Field(
        10_000, gt=0, description="How many clients are remembered; beyond, the longest silent is forgotten."
    )
    http_connect_seconds: float = Field(3, gt=0, description="How long an outgoing call may wait for a connection.")
    http_read_seconds: float = Field(10, gt=0, description="How long an outgoing call may wait for the next bytes.")
    http_total_seconds: float = Field(30, gt=0, description="How long an outgoing call may take with all its attempts.")
    http_attempts: int = Field(3, ge=1, description="How often an idempotent outgoing call is tried; 1: never again.")
    http_connections: int = Field(100, gt=0, description="The most connections of the outgoing client.")
