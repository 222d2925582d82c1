"""Errors as RFC 9457 says: `application/problem+json`, whatever went wrong and wherever it did."""

import json
import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, get_origin, get_type_hints
from urllib.parse import quote

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic_core import PydanticSerializationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..telemetry import context, tracing
from .routes import allowed

MEDIA_TYPE = "application/problem+json"
UNTYPED = "about:blank"
MOST_FAULTS = 50
# Statuses that have no body, and the one for a client that left, which only our own log and metrics see.
WITHOUT_BODY = frozenset({204, 205, 304})
CLIENT_LEFT = 499
# Of what is refused for a moment: the same request comes back later, or elsewhere at once.
RETRY_SOON = {"retry-after": "1"}

log = logging.getLogger("chassis.errors")


class ProblemError(Exception):
    """An error that the client is told of; a team derives its own.

    The class says what is always the same, its annotations name the members that an occurrence adds::

        class OutOfStockError(ProblemError):
            status = 409
            title = "Out of stock"
            type = "/problems/out-of-stock"
            left: int

        raise OutOfStockError("Only 2 are left.", left=2)

    :cvar status: the HTTP status, 400 to 599.
    :cvar title: what kind of problem this is, for people; by default the status' own phrase.
    :cvar type: a URI reference that names the kind for machines; "about:blank" where the status says it all.
    :param detail: what happened this time, for the client's eyes.
    :param headers: added to the response.
    :param members: values for the annotated members. Raises TypeError for any other.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = ""
    type: ClassVar[str] = UNTYPED

    def __init__(self, detail: str = "", /, *, headers: Mapping[str, str] | None = None, **members: object) -> None:
        unknown = members.keys() - member_types(type(self)).keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no member {', '.join(sorted(unknown))}: annotate it.")
        super().__init__(detail or self.title or phrase(self.status))
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members


def member_types(kind: type[ProblemError]) -> dict[str, Any]:
    """The annotated members of `kind` by name."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: hint for name, hint in hints.items() if get_origin(hint) is not ClassVar}


class ProblemResponse(Response):
    """A problem as a response: never cached, and without its body where the request was a HEAD."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        scope: Scope,
        status: int,
        detail: str = "",
        *,
        title: str = "",
        kind: str = UNTYPED,
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        title = title or phrase(status)
        problem = {
            **(members or {}),
            "type": kind,
            "title": title,
            "status": status,
            "detail": detail or title,
            "instance": quote(scope["path"], errors="replace"),
            "request_id": context.request_id(),
        }
        super().__init__(encode(problem), status, {"cache-control": "no-store", **lower(headers or {})})
        if scope["method"] == "HEAD":
            self.body = b""  # the length stays that of the answer to a GET


def phrase(status: int) -> str:
    """The standard's words for `status`, or what its hundred says."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Server Error" if status >= 500 else "Client Error"


def encode(problem: Mapping[str, object]) -> bytes:
    """`problem` as JSON in UTF-8. What JSON has no form for becomes its `str`."""
    try:
        return msgspec.json.encode(problem, enc_hook=str)
    except (TypeError, ValueError, OverflowError):  # a lone surrogate, a huge int, a key that is no string
        return json.dumps(problem, default=str).encode()


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers` with names as HTTP/2 has them, so that one name is one key."""
    return {name.lower(): value for name, value in headers.items()}


async def on_problem(request: Request, error: ProblemError) -> Response:
    """Answer a team's own error."""
    return ProblemResponse(
        request.scope,
        error.status,
        error.detail,
        title=error.title,
        kind=error.type,
        members=error.members,
        headers=error.headers,
    )


async def on_http_exception(request: Request, error: HTTPException) -> Response:
    """Answer what starlette, FastAPI and endpoints raise. A detail that is an object becomes extension members."""
    if error.status_code in WITHOUT_BODY or error.status_code < 200:
        return Response(status_code=error.status_code, headers=error.headers)
    detail: object = error.detail
    members = detail if isinstance(detail, dict) else {}
    said = members.get("detail", "") if isinstance(detail, dict) else detail
    headers = dict(error.headers or {})
    if error.status_code == 405 and (methods := allowed(request.scope)):
        headers = {**lower(headers), "allow": ", ".join(methods)}
    return ProblemResponse(request.scope, error.status_code, str(said), members=members, headers=headers)


async def on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    """Answer a request that does not fit what the endpoint declares: 422, with every place that is wrong."""
    faults = error.errors()
    detail = "The request does not fit what is expected here."
    if len(faults) > MOST_FAULTS:
        detail += f" The first {MOST_FAULTS} of {len(faults)} faults are listed."
    return ProblemResponse(request.scope, 422, detail, members={"errors": listed(faults)})


async def on_disconnect(request: Request, error: ClientDisconnect) -> Response:
    """The client left while its body was read: nobody gets this, but it is not the service's failure."""
    return ProblemResponse(request.scope, CLIENT_LEFT, "The client closed the connection.")


async def on_unencodable(request: Request, error: UnicodeEncodeError | PydanticSerializationError) -> Response:
    """Answer a lone surrogate that came in as JSON ("\\ud800" is valid there) and cannot go anywhere as UTF-8: 400."""
    if "surrogates not allowed" not in str(error):
        raise error
    return ProblemResponse(request.scope, 400, "A text in the request has half a character: a lone surrogate.")


async def on_failure(request: Request, error: Exception) -> Response:
    """Answer what nobody caught. Says nothing of it; `last_resort` logs it."""
    return failure(request.scope)


def failure(scope: Scope) -> ProblemResponse:
    """The answer to what nobody caught."""
    return ProblemResponse(scope, 500, "The service failed. Quote the request id when you ask about it.")


def listed(faults: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Pydantic's `faults`, at most 50, as the client sees them: where and what, never the value that was sent."""
    return [_fault(fault) for fault, _ in zip(faults, range(MOST_FAULTS), strict=False)]


def _fault(fault: Mapping[str, Any]) -> dict[str, str]:
    location, *path = fault["loc"] or ("request",)
    if fault["type"] == "json_invalid":  # its path is an offset in the text
        path = []
    return {"location": str(location), "pointer": pointer(path), "detail": _words(fault), "code": str(fault["type"])}


def _words(fault: Mapping[str, Any]) -> str:
    context = fault.get("ctx") or {}
    if fault["type"] == "json_invalid":
        return f"Invalid JSON at character {fault['loc'][-1]}: {context.get('error', '')}"
    if fault["type"] == "union_tag_invalid":  # the one message of pydantic's that repeats what was sent
        return f"The tag {context.get('discriminator')} should be one of {context.get('expected_tags')}"
    return str(fault["msg"])


def pointer(path: Iterable[object]) -> str:
    """`path` as a JSON Pointer in a URI fragment (RFC 6901): #/items/0/price."""
    escaped = (quote(str(part).replace("~", "~0").replace("/", "~1"), errors="replace") for part in path)
    return "#" + "".join(f"/{part}" for part in escaped)


async def last_resort(error: Exception, *, started: bool, scope: Scope, receive: Receive, send: Send) -> None:
    """End a request that `error` ended: log it, once, and answer unless an answer has begun.

    What outer parts raise as HTTPException is an answer and no failure.
    """
    if isinstance(error, HTTPException) and not started:
        response = await on_http_exception(Request(scope), error)
        await response(scope, receive, send)
        return
    log.error("unhandled exception", exc_info=error)
    tracing.record(error)
    if not started:
        await failure(scope)(scope, receive, send)


def handle(api: FastAPI) -> None:
    """Make `api` answer every error with a problem."""
    handlers: dict[type[Exception], Any] = {
        ProblemError: on_problem,
        HTTPException: on_http_exception,
        RequestValidationError: on_invalid_request,
        ClientDisconnect: on_disconnect,
        UnicodeEncodeError: on_unencodable,
        PydanticSerializationError: on_unencodable,
        Exception: on_failure,
    }
    for kind, handler in handlers.items():
        api.add_exception_handler(kind, handler)
