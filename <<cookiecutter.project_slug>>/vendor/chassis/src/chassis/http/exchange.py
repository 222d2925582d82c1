"""The exchange: one request and its response, as all that stands around the endpoints sees it."""

from collections.abc import Awaitable

from starlette.types import Message, Receive, Scope, Send

from .security import StaticHeaders

KEY = "chassis.exchange"
"""Where the scope of a request has its exchange."""


class Exchange:
    """Passes on what is received and sent, and takes notes.

    The one wrapper around `receive` and `send`: limits and handlers of errors ask it, instead of each having its own.

    :param received: the request's headers by name.
    :param added: headers of every response.
    :param request_id: the last header of every response.
    """

    __slots__ = (
        "_added",
        "_receive",
        "_request_id",
        "_send",
        "awaits_body",
        "is_read",
        "received",
        "size",
        "status",
        "subject",
    )

    def __init__(
        self, received: dict[bytes, bytes], receive: Receive, send: Send, added: StaticHeaders, request_id: str
    ) -> None:
        self.received = received
        self.status = 0
        """Of the response; 0 until it begins."""
        self.size = 0
        """How many bytes of the response's body were sent."""
        self.subject: str | None = None
        """Who is calling, once that is known."""
        self.awaits_body = False
        """Whether the application waits for a body that the client has not sent."""
        self.is_read = False
        self._receive, self._send = receive, send
        self._added, self._request_id = added, request_id

    async def receive(self) -> Message:
        self.awaits_body = not self.is_read
        try:
            message = await self._receive()
        finally:
            self.awaits_body = False
        self.is_read = not message.get("more_body", False)
        return message

    # Not `async`: it hands on the awaitable it got, where a coroutine of its own would be made for each message.
    def send(self, message: Message) -> Awaitable[None]:
        kind = message["type"]
        if kind == "http.response.body":
            self.size += len(message.get("body", b""))
        elif kind == "http.response.start":
            self.status = message["status"]
            headers = self._added.added_to(message.get("headers", ()))
            headers.append((b"x-request-id", self._request_id.encode()))
            message["headers"] = headers
        return self._send(message)


def exchange_of(scope: Scope) -> Exchange:
    """The exchange that a request's `scope` belongs to."""
    exchange: Exchange = scope[KEY]
    return exchange
