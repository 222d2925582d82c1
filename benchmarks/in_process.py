"""Drive ASGI applications without a server: what each adds to a request, in figures that noise hardly moves.

Run by benchmarks/service.py in the environment of a service, with its folder as the current one. Prints one JSON object:
contender → microseconds a request, the minimum over many small batches, taken in turns.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

BATCH = 200
BATCHES = 150
HEADERS = [
    (b"host", b"127.0.0.1:8000"),
    (b"user-agent", b"bench"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"connection", b"keep-alive"),
]

App = Callable[..., Any]


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: dict[str, Any]) -> None:
    if message["type"] == "http.response.start" and message["status"] != 200:
        raise RuntimeError(f"status {message['status']}")


async def started(app: App) -> dict[str, Any]:
    """Run the application's start and return its state, as a server does. It is never stopped."""
    state: dict[str, Any] = {}
    begun = asyncio.get_running_loop().create_future()
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    await inbox.put({"type": "lifespan.startup"})

    async def told(message: dict[str, Any]) -> None:
        if not begun.done():
            begun.set_result(message["type"])

    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
    tasks.append(asyncio.ensure_future(app(scope, inbox.get, told)))
    if await begun != "lifespan.startup.complete":
        raise RuntimeError("the application did not start")
    return state


tasks: list[asyncio.Future[Any]] = []


def request(path: str, state: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": HEADERS,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": state.copy(),
    }


async def batch(app: App, path: str, state: dict[str, Any]) -> float:
    began = time.process_time_ns()
    for _ in range(BATCH):
        await app(request(path, state), receive, send)
    return (time.process_time_ns() - began) / BATCH / 1000


async def measure(contenders: dict[str, tuple[App, str]]) -> dict[str, float]:
    states = {name: await started(app) for name, (app, _) in contenders.items()}
    best = dict.fromkeys(contenders, float("inf"))
    gc.disable()
    for _ in range(BATCHES):
        for name, (app, path) in contenders.items():
            best[name] = min(best[name], await batch(app, path, states[name]))
        gc.collect()
    return best


def main() -> None:
    # The access log goes where the service's goes in the measurement with a server: to a descriptor nobody reads.
    result = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    service = import_module(f"{sys.argv[1]}.__main__").service
    settings = service.load()
    service.configure_logging(settings)
    app = service.app(settings)
    bare = import_module("bare").app
    contenders = {
        "bare": (bare, "/api/v1/greeting"),
        "service": (app, "/api/v1/greeting"),
        "probe": (app, "/livez"),
    }
    figures = asyncio.run(measure(contenders))
    os.write(result, json.dumps(figures).encode())
    os._exit(0)  # the applications were started and are not stopped


if __name__ == "__main__":
    main()
