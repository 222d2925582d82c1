"""What a team writes: an API with a little of everything, put into a rendered service as a team would."""

from __future__ import annotations

from pathlib import Path

API = """
import asyncio
import logging
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, FastAPI, Header, Path, Query, Request
from fastapi.responses import StreamingResponse
from opentelemetry import trace
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chassis import ProblemError, problems

log = logging.getLogger(__name__)


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Item(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=50)]
    price: Annotated[float, Field(ge=0, le=1_000_000, strict=True)] = 0
    colour: Colour = Colour.RED
    tags: Annotated[list[str], Field(max_length=5)] = []
    made: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}$")] | None = None
    parts: Annotated[list["Item"], Field(max_length=3)] = []


class OutOfStockError(ProblemError):
    status = 409
    title = "Out of stock"
    left: int


items = APIRouter(prefix="/items", tags=["items"])


@items.get("/{item_id}")
async def read(item_id: Annotated[int, Path(ge=0)], colour: Colour = Colour.RED, verbose: bool = False) -> Item:
    return Item(name=f"item {item_id}", colour=colour)


@items.get("")
async def find(
    tag: Annotated[list[str] | None, Query(max_length=10)] = None, limit: Annotated[int, Query(ge=1, le=100)] = 10
) -> list[Item]:
    return [Item(name=name[:50]) for name in (tag or [])[:limit] if name]


@items.post("", status_code=201, responses=problems(OutOfStockError))
async def create(item: Item, idempotency_key: Annotated[str, Header(max_length=100)] = "") -> Item:
    if item.colour is Colour.GREEN and item.price > 999:
        raise OutOfStockError("None are left.", left=0)
    return item


@items.put("/{item_id}/parts/{part}")
async def replace(item_id: UUID, part: str, parts: Annotated[list[Item], Body(max_length=10)]) -> int:
    return len(parts)


@items.delete("/{item_id}", status_code=204)
async def delete(item_id: int) -> None:
    return None


def plain(request: Request) -> Response:
    return PlainTextResponse(request.path_params["name"])


mounted = FastAPI()


@mounted.get("/things/{thing}")
async def thing(thing: str) -> str:
    return thing


inner = APIRouter(prefix="/inner")
inner.include_router(items)
hidden = APIRouter(include_in_schema=False)


@hidden.get("/bug/{what}")
async def bug(what: str) -> None:
    raise RuntimeError(f"a secret: {what}")


@hidden.get("/slow/{seconds}")
async def slow(seconds: float) -> str:
    await asyncio.sleep(min(seconds, 5))
    return "done"


@hidden.get("/stream/{parts}")
async def stream(parts: int) -> StreamingResponse:
    async def texts() -> AsyncIterator[bytes]:
        for _ in range(min(parts, 1000)):
            yield b"x" * 1000
            await asyncio.sleep(0.01)

    return StreamingResponse(texts())


@hidden.get("/slash/")
async def slash() -> str:
    return "/"


@hidden.post("/echo")
async def echo(request: Request) -> int:
    return len(await request.body())


@hidden.get("/child")
async def child() -> str:
    with trace.get_tracer("team").start_as_current_span("child"):
        log.info("working")
    return "done"


router = APIRouter()
v1 = APIRouter(prefix="/api/v1")
v1.include_router(items)
v1.include_router(inner, prefix="/outer")
router.include_router(v1)
router.include_router(hidden, prefix="/api/hidden")
router.mount("/mounted", mounted)
router.mount("/plain", Starlette(routes=[Route("/{name}", plain)]))
"""

_ITEMS = ("", "/{item_id}", "/{item_id}/parts/{part}")
ROUTES = {
    "unmatched",
    "/openapi.json",
    *(f"/docs{file}" for file in ("", "/", "/start.js", "/swagger-ui-bundle.js", "/swagger-ui.css", "/favicon.png")),
    *(f"/api/v1{prefix}/items{path}" for prefix in ("", "/outer/inner") for path in _ITEMS),
    *(f"/api/hidden/{path}" for path in ("bug/{what}", "slow/{seconds}", "stream/{parts}", "slash/", "echo", "child")),
    "/mounted",
    "/mounted/things/{thing}",
    "/plain",
    "/plain/{name}",
}
"""All values that the label `route` may have."""


def with_api(service: Path, api: str = API) -> Path:
    """Put `api` in place of the service's own, and return the service."""
    (service / "src/my_service/api.py").write_text(api.lstrip(), encoding="utf-8")
    return service
