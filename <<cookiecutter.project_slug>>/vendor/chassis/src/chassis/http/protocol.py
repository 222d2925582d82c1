"""HTTP as it comes in: what a client may send before any application sees it.

uvicorn and its parser put no bound on the head of a request: a header line without an end fills the memory, and each
piece of it is copied once more for every piece that follows. Here the bytes are counted before the parser has them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from ..settings import Settings

END = b"\r\n\r\n"
"""Where a head ends. The parser takes no other line ends."""
CARRIAGE_RETURN = 13
CHUNKED_PIECE = 1024
"""How much of a chunked body the parser gets at once: it does not say where in a piece the body ended."""
CHUNKED = -1
"""The size of a body that only its chunks tell."""
INVALID = "Invalid HTTP request received."
AROUND_A_BYTE = 16
"""How many bytes of chunk sizes and extensions each byte of a chunked body may have around it."""
LINGER_SECONDS = 5.0
LINGER_BYTES = 4 * 2**20
"""How long, and for how many bytes, a client is listened to that was refused. Closing a connection while it still
sends would reset it, and the client would see that instead of the answer."""

log = logging.getLogger("chassis.protocol")


class HeadLimits(NamedTuple):
    """What the head of one request may be."""

    size: int
    """In bytes: the request line, the headers, and the empty line after them."""
    headers: int
    url: int
    """In bytes: the path and the query."""
    seconds: float
    """From the connection's first moment, or from the head's first byte on one that is kept alive, to its end."""

    @classmethod
    def of(cls, settings: Settings) -> HeadLimits:
        """The limits that `settings` ask for."""
        return cls(
            settings.head_limit_bytes, settings.head_limit_headers, settings.url_limit_bytes, settings.head_seconds
        )


def bounded(settings: Settings) -> Callable[..., BoundedProtocol]:
    """What makes the protocol of each connection, with the limits that `settings` ask for."""
    return partial(BoundedProtocol, limits=HeadLimits.of(settings))


class RefusedError(Exception):
    """This request is not handed on; its client gets `status` and `detail`."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds for the head of a request, and for what stands around the chunks of its body.

    What is too large is refused with 431 or 414. A head that takes too long gets 408; a connection on which nothing
    came is closed without a word, because its client would take an answer for the one to its first request.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: HeadLimits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._in_head = True  # else in a body
        self._known: object = None  # the scope of the last request whose head was complete
        self._spent = 0  # bytes of this head, or of what stands around the chunks of this body
        self._tail = b""  # the end of what came before, in which the end of a head or a body may have begun
        self._body_seen = 0
        self._body_size: int | None = None
        self._held = b""  # came after a request that waits for its turn
        self._refused: RefusedError | None = None
        self._answered = False  # whether the client was told so
        self._discarded = 0
        self._timer: asyncio.TimerHandle | None = None

    # What the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_timer()
        self._held = b""

    def data_received(self, data: bytes) -> None:
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        if self._refused:
            self._discard(len(data))
        elif self._held:
            self._hold(data)
        elif (
            # Nearly all that comes is one head, and needs no more than this. Line ends may stand before a head.
            self._in_head
            and not self._spent
            and data.find(END) == len(data) - len(END)
            and len(data) <= self._limits.size
            and data[0] > CARRIAGE_RETURN
            and not self.pipeline
        ):
            try:
                self.parser.feed_data(data)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
                self._cannot_parse(error, data)
        else:
            self._take(data)

    # Bytes

    def _take(self, data: bytes) -> None:
        start, size = 0, len(data)
        while start < size and not self._refused:
            if self.pipeline:  # one request that waits is enough: it takes a hundred times the memory of its bytes
                self._hold(data[start:])
                return
            end = self._end_of_piece(data, start, size)
            self._feed(data[start:end])
            start = end
        if self._refused:
            return
        if not self._in_head and self.cycle.response_complete:  # what is left of its body may come, but not never
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        elif self._in_head and self._spent and not self._timer:
            self._start_timer()

    def _hold(self, data: bytes) -> None:
        self._held += data
        # Not by self.flow, which an application that asks whether its client is still there would undo.
        self.flow.read_paused = False
        self.transport.pause_reading()

    def _end_of_piece(self, data: bytes, start: int, size: int) -> int:
        # Such that each head begins with a piece, and that no more is read than it may have.
        if self._in_head:
            most = start + self._limits.size - self._spent
            return min(self._end_of_head(data, start, most), most, size)
        left = self._left_of_body()
        return min(start + (CHUNKED_PIECE if left is None else left), size)

    def _end_of_head(self, data: bytes, start: int, most: int) -> int:
        if self._tail:
            found = (self._tail + data[start : start + 3]).find(END)
            if found >= 0:
                return start + found + len(END) - len(self._tail)
        found = data.find(END, start, most)
        return found + len(END) if found >= 0 else most

    def _left_of_body(self) -> int | None:
        # None where only the chunks tell.
        if self._body_size is None:
            self._body_size = _declared_size(self.scope["headers"])
        return None if self._body_size == CHUNKED else max(self._body_size - self._body_seen, 1)

    def _feed(self, piece: bytes) -> None:
        was_chunked = not self._in_head and self._left_of_body() is None
        self._spent += len(piece)
        self._parse(piece)
        if not self._refused:
            self._remember(piece, was_chunked)
            self._refuse_excess()

    def _parse(self, piece: bytes) -> None:
        try:
            self.parser.feed_data(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._cannot_parse(error, piece)

    def _cannot_parse(self, error: Exception, piece: bytes) -> None:
        if isinstance(error, httptools.HttpParserUpgrade):
            log.info("a client asked for another protocol; this one is HTTP/1.1", extra=self._client_member())
            if rest := piece[error.args[0] :]:
                self._parse(rest)
        else:
            found = error.__context__
            self._refuse(found if isinstance(found, RefusedError) else RefusedError(400, INVALID))

    def _refuse_excess(self) -> None:
        most = self._limits
        if self._has_begun() and len(self.url) > most.url:
            self._refuse(_url_too_long(most))
        elif self._in_head and self._spent >= most.size:  # and its end has not come
            self._refuse(RefusedError(431, f"The head of this request has more than {most.size} bytes."))
        elif self._spent > most.size:
            detail = f"What stands around the chunks of this body has more than {most.size} bytes."
            self._refuse(RefusedError(431, detail))

    def _has_begun(self) -> bool:
        # Whether more than empty lines came of a head.
        return self._in_head and self.scope is not self._known

    def _remember(self, piece: bytes, was_chunked: bool) -> None:
        if was_chunked:
            seen = self._tail + piece
            if self._in_head:  # the body ended in this piece, and what ended here ended with an empty line
                self._spent = len(seen) - seen.rfind(END) - len(END)
            self._tail = seen[-3:]
        else:
            self._tail = (self._tail + piece)[-3:] if self._in_head and self._spent else b""

    # What the parser calls

    def on_headers_complete(self) -> None:
        if len(self.headers) > self._limits.headers:
            raise RefusedError(431, f"This request has more than {self._limits.headers} headers.")
        if len(self.url) > self._limits.url:
            raise _url_too_long(self._limits)
        if self.parser.should_upgrade() and _declared_size(self.headers):
            # The parser skips this body, and would take what comes of it for the next request.
            raise RefusedError(501, "A request that asks for another protocol can have no body here.")
        super().on_headers_complete()
        self.headers = []  # trailers come the same way, and are no headers
        if self._timer:
            self._stop_timer()
        self._known = self.scope
        self._in_head = False
        self._spent = self._body_seen = 0
        self._body_size = None

    def on_body(self, body: bytes) -> None:
        self._body_seen += len(body)
        self._spent = max(self._spent - (1 + AROUND_A_BYTE) * len(body), 0)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        self._spent = 0
        request = self.cycle  # as uvicorn does, which also asks whether this becomes a WebSocket
        if not request.response_complete:
            request.more_body = False
            request.message_event.set()

    # Refusals

    def _refuse(self, refused: RefusedError) -> None:
        self._refused = refused
        self._stop_timer()
        log.warning(
            "a request was refused with %d: %s",
            refused.status,
            refused.detail,
            extra={"status": refused.status, **self._client_member()},
        )
        if not self._in_head:
            if self.cycle.response_started:
                self.transport.close()
                return
            self.cycle.disconnected = True  # what its application says now goes nowhere
            self.cycle.message_event.set()
        if self._is_busy():
            self.flow.pause_reading()  # the answers to what came before come first
        else:
            self._answer()

    def _is_busy(self) -> bool:
        request = self.cycle
        return bool(self.pipeline) or not (request is None or request.response_complete or request.disconnected)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if (self._held or self._refused or self._spent) and not self.transport.is_closing():
            self._go_on()

    def _go_on(self) -> None:
        # What had to wait for the response.
        if self._held and not self._refused:
            held, self._held = self._held, b""
            self.transport.resume_reading()
            self._take(held)
        if self._refused and not self._answered and not self._is_busy():
            self._unset_keepalive_if_required()
            self._answer()
        elif self._spent and self._has_begun():
            self._unset_keepalive_if_required()  # the limit of this head is what holds now

    def _answer(self) -> None:
        """Tell the client why, and listen on until it has read that: for a while, and for some bytes."""
        refused = self._refused
        if refused is None or self.transport.is_closing():
            return
        self._answered = True
        text = refused.detail.encode("ascii")
        headers = [
            *(pair for pair in self.server_state.default_headers if pair[0] != b"connection"),
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(text)),
            (b"connection", b"close"),
        ]
        lines = [STATUS_LINE[refused.status], *(b"%b: %b\r\n" % pair for pair in headers), b"\r\n", text]
        self.transport.write(b"".join(lines))
        self.transport.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _discard(self, count: int) -> None:
        self._discarded += count
        if not self._answered:
            self.flow.pause_reading()
        elif self._discarded > LINGER_BYTES:
            self.transport.abort()

    # Time

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self._limits.seconds, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self._held or self.flow.read_paused:  # it is we who do not read
            self._start_timer()
        elif self._has_begun():
            detail = f"The head of this request was not complete after {self._limits.seconds:g} s."
            self._refuse(RefusedError(408, detail))
        elif not self._is_busy():
            log.info(
                "a connection was closed: no request came in %g s", self._limits.seconds, extra=self._client_member()
            )
            self.transport.close()

    def _client_member(self) -> dict[str, object]:
        return {"client": self.client[0] if self.client else None}


def _url_too_long(most: HeadLimits) -> RefusedError:
    return RefusedError(414, f"The address of this request has more than {most.url} bytes.")


def _declared_size(headers: Iterable[tuple[bytes, bytes]]) -> int:
    # Of a body, in bytes. The parser refuses what is no number, or told twice.
    for name, value in headers:
        if name == b"transfer-encoding":
            return CHUNKED
        if name == b"content-length":
            return int(value)
    return 0
