"""What a team writes: a package with a backing service, slow and failing endpoints, and a command.

`take_over` writes it over the first package of a rendered service, and touches nothing else.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from running import write_package

SETTINGS = """
from typing import Annotated

from pydantic import Field, SecretStr

import chassis


class Settings(chassis.Settings):
    greeting: Annotated[str, Field(min_length=1, description="What the service says before a name.")] = "Hello"
    upstream_url: Annotated[str, Field(description="Where quotes come from.")] = "http://127.0.0.1:9"
    token: SecretStr | None = None
    close_seconds: float = 0
    break_at_start: bool = False
"""

API = '''
import asyncio
import logging
import threading
import warnings
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import StreamingResponse

from chassis import HttpClient

router = APIRouter(prefix="/api/v1")
log = logging.getLogger(__name__)


@router.get("/greeting")
async def greeting(request: Request, name: str = "World") -> dict[str, str]:
    return {"message": f"{request.state.settings.greeting}, {name}!"}


@router.get("/quote")
async def quote(request: Request) -> dict[str, str]:
    return await request.state.quotes.one()


@router.get("/calls/{path}")
async def calls(request: Request, path: str) -> dict[str, object]:
    """What came of a call: its status, or the error."""
    url = f"{request.state.settings.upstream_url}/{path}"
    try:
        async with HttpClient.of(request).get(url) as response:
            await response.read()
            return {"status": response.status}
    except Exception as error:
        return {"error": type(error).__name__}


@router.get("/slow/{seconds}")
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


@router.get("/stream")
async def stream() -> StreamingResponse:
    async def parts():
        for _ in range(3):
            yield "x" * 1000
            await asyncio.sleep(0.01)
    return StreamingResponse(parts())


@router.post("/body")
@router.post("/uploads/body")
async def body(request: Request) -> int:
    return len(await request.body())


@router.get("/fail")
async def fail() -> None:
    raise RuntimeError("it broke\\nin two lines, token=hunter2hunter2")


@router.get("/warn")
async def warn() -> None:
    warnings.warn("old\\nways", stacklevel=1)


@router.get("/log")
async def say(text: str = "said") -> None:
    log.info(text, extra={"level": "not this", "answer": 42})


@router.get("/print-nothing")
async def thread() -> None:
    def broken() -> None:
        raise ValueError("in a thread")
    worker = threading.Thread(target=broken)
    worker.start()
    worker.join()


@router.get("/later")
async def later(request: Request, seconds: float = 0) -> None:
    async def work() -> None:
        await asyncio.sleep(seconds)
        raise LookupError("in the background")
    request.state.background.spawn(work())


@router.get("/write")
async def write() -> str:
    try:
        Path("written").write_text("state")
    except OSError as error:
        return type(error).__name__
    return "written"
'''

MAIN = '''
import asyncio
import contextlib
import logging
import sys

import click

from chassis import HttpClient, Service, http_client

from .api import router
from .settings import Settings

log = logging.getLogger(__name__)


class Quotes:
    """The backing service. All that it knows of where that is stands in a setting."""

    def __init__(self, client: HttpClient, url: str) -> None:
        self.client, self.url = client, url

    async def one(self) -> dict[str, str]:
        async with self.client.get(f"{self.url}/quote") as response:
            return await response.json()


@contextlib.asynccontextmanager
async def quotes(settings: Settings, *, registry):
    if settings.break_at_start:
        raise ConnectionRefusedError("nobody listens")
    async with http_client(settings, registry=registry) as client:
        yield Quotes(client, settings.upstream_url)
    await asyncio.sleep(settings.close_seconds)


async def upstream(given) -> None:
    async with given.http.get(f"{given.settings.upstream_url}/quote") as response:
        response.raise_for_status()


@click.command()
@click.option("--days", default=30, show_default=True)
@click.pass_obj
async def purge(settings: Settings, days: int) -> None:
    """Delete what is older than that."""
    log.info("purging", extra={"days": days, "upstream": settings.upstream_url})
    if days < 0:
        raise click.ClickException("There is no such day.")
    click.echo(f"{settings.greeting}, purged {days}")


service = Service(
    package=__package__,
    settings=Settings,
    routers=[router],
    resources={"http": http_client, "quotes": quotes},
    checks={"upstream": upstream},
    commands=[purge],
)

if __name__ == "__main__":
    service.main()
'''


def take_over(service: Path) -> Path:
    """Put the team's package in the place of the first one of `service`, and return `service`."""
    return write_package(service, {"settings.py": SETTINGS, "api.py": API, "__main__.py": MAIN})


@dataclass
class Upstream:
    """A backing service that answers with its own name, as badly as it is told to."""

    name: str
    url: str = ""
    is_down: bool = False
    delay: float = 0
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def upstream(name: str) -> Iterator[Upstream]:
    """Serve on a free port: /quote, /503, /slow (a second), /drip (a byte each tenth of a second)."""
    told = Upstream(name)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            time.sleep(1 if self.path == "/slow" else told.delay)
            body = json.dumps({"from": told.name}).encode()
            self.send_response(503 if told.is_down or self.path == "/503" else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            for place in range(len(body)):
                self.wfile.write(body[place : place + 1])
                if self.path == "/drip":
                    time.sleep(0.1)

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with contextlib.suppress(OSError):  # who asked did not wait
                super().handle()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        told.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
