"""The API: FastAPI without what the chassis does itself."""

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import failure
from .exchange import KEY, exchange_of
from .fastapi_inside import without_superfluous
from .openapi import tell_of_problems
from .routes import UnservedError


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
        return without_superfluous(super().build_middleware_stack())

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
        is_new = self.openapi_schema is None  # FastAPI keeps the document
        document = super().openapi()
        if is_new:
            tell_of_problems(document)
            self._describe(document)
        return document
