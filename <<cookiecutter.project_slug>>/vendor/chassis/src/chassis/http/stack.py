"""The HTTP stack: the middlewares that the settings ask for, around the API."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from ..settings import Settings, SettingsError
from .errors import ProblemResponse
from .limits import BodyLimit, ConcurrencyLimit, PathValues, TimeLimit
from .rate_limit import Key, RateLimit

# What a page of another origin may read of a response, besides the few headers that it always may.
EXPOSED = ("ratelimit", "ratelimit-policy", "retry-after", "x-request-id")


class Cors(CORSMiddleware):
    """Starlette's, which tells of a preflight that it refuses as every other error is told of."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        scope = {"type": "http", "method": "OPTIONS", "path": "*"}
        headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        return ProblemResponse(scope, response.status_code, bytes(response.body).decode(), headers=headers)


def stack(api: ASGIApp, settings: Settings, *, rate_limit_key: Key) -> ASGIApp:
    """Put around `api` what `settings` ask for, and nothing else. Raises SettingsError for what is unsafe."""
    app = api
    if most := PathValues(settings.body_limit_bytes, settings.body_limit_bytes_at):
        app = BodyLimit(app, most=most)
    if seconds := PathValues(settings.request_seconds, settings.request_seconds_at):
        app = TimeLimit(app, seconds=seconds)
    if settings.rate_limit_requests:
        app = RateLimit(
            app,
            quota=settings.rate_limit_requests,
            window=settings.rate_limit_seconds,
            most=settings.rate_limit_clients,
            key=rate_limit_key,
        )
    if settings.concurrency_limit:
        app = ConcurrencyLimit(app, most=settings.concurrency_limit)
    # Outside the limits, so that a page can read why it was turned away.
    return cors(app, settings) if settings.cors_origins else app


def cors(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Let pages of `settings.cors_origins` call `app`."""
    if settings.cors_credentials and "*" in settings.cors_origins:
        raise SettingsError(
            [
                'cors_credentials (APP_CORS_CREDENTIALS) with the origin "*" would let every page act as its visitor. '
                "List the origins in cors_origins."
            ]
        )
    return Cors(
        app,
        allow_origins=settings.cors_origins,
        allow_methods=settings.cors_methods,
        allow_headers=settings.cors_headers,
        allow_credentials=settings.cors_credentials,
        expose_headers=EXPOSED,
    )
