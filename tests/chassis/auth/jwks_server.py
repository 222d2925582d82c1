"""An issuer of tokens as a real HTTP server, which can be told to fail in many ways."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from auth.forging import AnyKey
from chassis_auth import pem


class Issuer:
    """Publishes keys at `url`. What it answers can be changed at any time."""

    def __init__(self) -> None:
        self.url = ""
        self.asked = 0
        """How many requests came."""
        self.status = 200
        self.body = b'{"keys": []}'
        self.headers = ""
        self.open = asyncio.Event()
        """Cleared, no answer comes until it is set."""
        self.open.set()
        self.is_silent = False
        """Whether no answer ever comes."""
        self.drip = 0.0
        """Seconds between two bytes of the body; 0 sends it in one piece."""
        self.closes = False
        """Whether it hangs up instead."""

    def publish(self, *keys: AnyKey, **members: Any) -> None:
        """Answer with the public keys of `keys`, each named by its thumbprint."""
        self.status = 200
        entries = [
            {**pem.jwk(key.public_key()), "kid": pem.thumbprint(key.public_key()), "use": "sig", **members}
            for key in keys
        ]
        self.body = json.dumps({"keys": entries}).encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            await (asyncio.Event() if self.is_silent else self.open).wait()
            if not self.closes:
                head = f"HTTP/1.1 {self.status} X\r\nconnection: close\r\ncontent-length: {len(self.body)}\r\n"
                writer.write(f"{head}{self.headers}\r\n".encode())
                await self._send(writer)

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        if not self.drip:
            writer.write(self.body)
            await writer.drain()
            return
        for byte in self.body:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(self.drip)


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    answering: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: asyncio.Task[None] = asyncio.current_task()  # type: ignore[assignment] # a connection has one
        answering.add(task)
        try:
            await issuer.answer(reader, writer)
        finally:
            answering.discard(task)

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        issuer.url = f"http://127.0.0.1:{port}/.well-known/jwks.json"
        try:
            yield issuer
        finally:
            for task in answering:  # or some would hold its end up
                task.cancel()
