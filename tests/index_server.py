"""An index of packages on this machine, as the simple API of PyPI has it (PEP 503): for all, or with a password."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

USER = "robot"
PASSWORD = "correct-horse-battery"  # noqa: S105 - nobody's
CREDENTIALS = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"


class _Index(http.server.SimpleHTTPRequestHandler):
    """Serves the files of a folder, and pages /simple/NAME/ that list its wheels."""

    def __init__(
        self, *given: Any, asked: list[str] | None = None, credentials: str | None = None, **more: Any
    ) -> None:
        self._asked = [] if asked is None else asked
        self._credentials = credentials
        super().__init__(*given, **more)

    def do_GET(self) -> None:
        self._asked.append(self.path)
        name = re.fullmatch(r"/simple/([a-z0-9-]+)/", self.path)
        if self._credentials and self.headers.get("Authorization") != self._credentials:
            self._answer(401, "")
        elif name:
            wheels = [path for path in Path(self.directory).glob("*.whl") if _name_of(path) == name[1]]
            self._answer(200, "".join(map(_link, wheels)))
        else:
            super().do_GET()

    def _answer(self, status: int, page: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("WWW-Authenticate", 'Basic realm="index"')
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        pass


def _name_of(wheel: Path) -> str:
    return re.sub(r"[-_.]+", "-", wheel.name.partition("-")[0]).lower()


def _link(wheel: Path) -> str:
    return f'<a href="/{wheel.name}#sha256={_digest(wheel, wheel.stat().st_mtime_ns)}">{wheel.name}</a>\n'


@cache
def _digest(wheel: Path, _changed: int) -> str:
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


@contextlib.contextmanager
def index(folder: Path) -> Iterator[str]:
    """The address of an index of the wheels in `folder`, with a password, for as long as the block lasts."""
    with served(partial(_Index, directory=str(folder), credentials=CREDENTIALS)) as address:
        yield f"{address}/simple/"


@contextlib.contextmanager
def open_index(folder: Path, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """As `index`, for everybody, by https if there is a `context`; with the address, the paths that were asked for."""
    asked: list[str] = []
    with served(partial(_Index, directory=str(folder), asked=asked), context) as address:
        yield f"{address}/simple/", asked


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def files(folder: Path) -> Iterator[str]:
    """The address of what lies in `folder`, for as long as the block lasts."""
    with served(partial(_Quiet, directory=str(folder))) as address:
        yield address


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # uv comes with 50 connections at once


@contextlib.contextmanager
def served(
    handler: Callable[..., http.server.BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> Iterator[str]:
    """The address at which requests are handled, on the loopback, for as long as the block lasts."""
    with _Server(("127.0.0.1", 0), handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
