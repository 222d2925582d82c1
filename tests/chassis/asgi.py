"""Drives an ASGI application by hand, where a test needs what a client cannot do."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.http.exchange import KEY, Exchange
from chassis.http.security import StaticHeaders


def scope(path: str = "/", *, method: str = "GET", headers: Iterable[tuple[bytes, bytes]] = (), **more: Any) -> Scope:
    """The scope of a request."""
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "query_string": b"",
        "headers": list(headers),
        "client": ("192.0.2.1", 1234),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "http_version": "1.1",
        "root_path": "",
        **more,
    }


async def call(app: ASGIApp, request: Scope, body: AsyncIterator[bytes] | Iterable[bytes] = ()) -> list[Message]:
    """Send a request whose body comes in pieces. Returns the messages of the response."""
    sent: list[Message] = []
    messages = _messages(body if isinstance(body, AsyncIterator) else _pieces(body))

    async def receive() -> Message:
        return await anext(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(request, receive, send)
    return sent


async def _messages(body: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    async for piece in body:
        yield {"type": "http.request", "body": piece, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}
    await asyncio.Event().wait()  # the client stays


async def _pieces(body: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in body:
        yield piece


def header(messages: list[Message], name: bytes) -> bytes | None:
    """The value of a header of the response."""
    return dict(messages[0]["headers"]).get(name)


def exchanged(app: ASGIApp) -> ASGIApp:
    """`app` as the edge calls it: each request with its exchange."""

    async def edge(request: Scope, receive: Receive, send: Send) -> None:
        if request["type"] != "http":
            await app(request, receive, send)
            return
        exchange = Exchange(dict(request["headers"]), receive, send, StaticHeaders([]), "an-id")
        await app({**request, KEY: exchange}, exchange.receive, exchange.send)

    return edge
