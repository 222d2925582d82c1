"""The errors in OpenAPI: what a client can get, as schemas and shared responses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, cast

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import MEDIA_TYPE, UNTYPED, ProblemError, failure, member_types, phrase
from .exchange import KEY, exchange_of
from .routes import UnservedError

SCHEMAS = "#/components/schemas/"
FASTAPIS_OWN = SCHEMAS + "HTTPValidationError"
# Layers of FastAPI's that every request pays for, and whose work `Api`, the edge and the limits do. By name, because
# some cannot be imported from a public place; one with another name is merely kept.
SUPERFLUOUS = frozenset({"ServerErrorMiddleware", "ExceptionTelemetryMiddleware", "AppBodyLimitMiddleware"})


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    # Kinds of problems add members; a client ignores those that it does not know.
    model_config = ConfigDict(extra="allow")

    type: Annotated[
        str, Field(description="Names the kind of problem.", json_schema_extra={"format": "uri-reference"})
    ] = UNTYPED
    title: Annotated[str, Field(description="The kind of problem, for people.")]
    status: Annotated[int, Field(ge=400, le=599, description="The HTTP status.")]
    detail: Annotated[str, Field(description="What happened this time.")]
    instance: Annotated[
        str, Field(description="The path that was asked for.", json_schema_extra={"format": "uri-reference"})
    ]
    request_id: Annotated[str | None, Field(description="Quote it when you ask about this answer.")]


class Fault(BaseModel):
    """One place in a request that is wrong."""

    location: Annotated[str, Field(description="body, query, path, header or cookie.")]
    pointer: Annotated[str, Field(description="Where in it, as a JSON Pointer: #/items/0/price.")]
    detail: Annotated[str, Field(description="What is wrong there.")]
    code: Annotated[str, Field(description="The same for machines.")]


class InvalidRequest(Problem):
    """The request does not fit what is expected."""

    errors: list[Fault]


def problems(*kinds: type[ProblemError]) -> dict[int | str, dict[str, Any]]:
    """What `responses=` of an endpoint or router takes, so that OpenAPI shows these kinds of problems."""
    by_status: dict[int, list[type[ProblemError]]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    # The media type marks the response for `Api`: FastAPI puts every model under the endpoint's own.
    return {
        status: {
            "description": " · ".join(kind.title or phrase(status) for kind in those),
            "model": reduce(or_, map(schema, those)),
            "content": {MEDIA_TYPE: {}},
        }
        for status, those in by_status.items()
    }


_models: dict[type[ProblemError], Any] = {}


def schema(kind: type[ProblemError]) -> Any:
    """The model of one kind of problem, the same each time: two of one name would both get longer ones."""
    return _models.get(kind) or _models.setdefault(kind, _model(kind))


def _model(kind: type[ProblemError]) -> Any:
    constants: dict[str, Any] = {
        "status": (Literal[kind.status], kind.status),
        "type": (Literal[kind.type], kind.type),
        "title": (Literal[kind.title or phrase(kind.status)], ...),
    }
    members: dict[str, Any] = {name: (hint, ...) for name, hint in member_types(kind).items()}
    return create_model(kind.__name__, __base__=Problem, __doc__=kind.__doc__, **constants, **members)


class PlainRoute(Route):
    """A route of Starlette's that says in the scope which it is, as FastAPI's do, so that metrics can name it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child_scope = super().matches(scope)
        return match, {**child_scope, "route": self} if match is not Match.NONE else child_scope


class Api(FastAPI):
    """FastAPI, whose OpenAPI document tells of problems where FastAPI's own would tell of its validation errors.

    :param describe: called once with the document, to add to it.
    """

    def __init__(self, *, describe: Callable[[dict[str, Any]], None] = lambda document: None, **options: Any) -> None:
        super().__init__(**options)
        self._describe = describe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            raise UnservedError(scope)
        if KEY not in scope:
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        try:
            await self.middleware_stack(scope, receive, send)
        except Exception:
            # Here and not at the edge, so that what stands between can add its headers to this answer too.
            if not exchange_of(scope).status:
                await failure(scope)(scope, receive, send)
            raise

    def build_middleware_stack(self) -> ASGIApp:
        outermost: Any = super().build_middleware_stack()
        while type(outermost).__name__ in SUPERFLUOUS:
            outermost = outermost.app
        return cast("ASGIApp", outermost)

    def add_route(
        self,
        path: str,
        route: Callable[[Request], Awaitable[Response] | Response],
        methods: Collection[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
    ) -> None:
        """Add a plain route; FastAPI adds its document's so, and the chassis the API docs'."""
        plain = PlainRoute(path, route, methods=methods, name=name, include_in_schema=include_in_schema)
        self.router.routes.append(plain)

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        components = document.setdefault("components", {})
        if "responses" not in components:  # FastAPI keeps the document
            for path in document.get("paths", {}).values():
                for operation in path.values():
                    _tell(operation["responses"])
            components["responses"] = {
                "Problem": _response("Something went wrong.", "Problem"),
                "InvalidRequest": _response("The request does not fit what is expected.", "InvalidRequest"),
            }
            _declare(components.setdefault("schemas", {}))
            self._describe(document)
        return document


def _tell(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        content = response.get("content", {})
        if MEDIA_TYPE in content and "application/json" in content:
            content[MEDIA_TYPE] = content.pop("application/json")
        elif content.get("application/json", {}).get("schema", {}).get("$ref") == FASTAPIS_OWN:
            responses[status] = {"$ref": "#/components/responses/InvalidRequest"}
    for statuses in ("4XX", "5XX"):
        responses.setdefault(statuses, {"$ref": "#/components/responses/Problem"})


def _response(description: str, name: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMAS + name}}}}


def _declare(schemas: dict[str, Any]) -> None:
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for model in (Problem, InvalidRequest):
        declared = model.model_json_schema(ref_template=SCHEMAS + "{model}", mode="serialization")
        schemas.update(declared.pop("$defs", {}))
        schemas[model.__name__] = declared
