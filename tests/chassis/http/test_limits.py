import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable

import pytest
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asgi import call, exchanged, header, scope
from chassis.http.limits import BodyLimit, ConcurrencyLimit, PathValues, TimeLimit
from patience import HANGS

Serve = Callable[..., TestClient]
CHUNKED = (b"transfer-encoding", b"chunked")


async def reader(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


async def ignorer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers without a look at the body."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_the_longest_path_wins_and_only_whole_segments_match() -> None:
    values = PathValues(1, {"/a": 2, "/a/b/": 3, "/free": 0})
    at = [values.at(path) for path in ("/", "/a", "/a/x", "/a/b", "/a/b/c", "/ab", "/free/x")]
    assert at == [1, 2, 2, 3, 3, 1, 0]
    assert PathValues(0, {"/a": 1})
    assert not PathValues(0, {"/a": 0})


def time_limited(app: ASGIApp, seconds: float) -> ASGIApp:
    return exchanged(TimeLimit(app, seconds=PathValues(seconds, {})))


body_limited = exchanged(BodyLimit(reader, most=PathValues(10, {"/uploads": 100, "/any": 0})))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "length", "status"),
    [
        ("/", b"10", 200),
        ("/", b"11", 413),
        ("/uploads", b"100", 200),
        ("/uploads", b"101", 413),
        ("/any", b"9" * 19, 200),
        ("/", b"9" * 5000, 413),
        ("/", b"-1", 400),
        ("/", b"", 400),
        ("/", b"1e3", 400),
        ("/", b"\xb2", 400),
    ],
)
async def test_a_content_length_is_judged_before_anything_is_read(path: str, length: bytes, status: int) -> None:
    messages = await call(body_limited, scope(path, method="POST", headers=[(b"content-length", length)]))
    assert messages[0]["status"] == status
    assert (header(messages, b"connection") == b"close") == (status != 200)


def test_a_chunked_body_is_refused_once_it_is_too_large(serve: Serve) -> None:
    router = APIRouter()

    class Anything(BaseModel):
        text: str

    @router.post("/json")
    async def parsed(body: Anything) -> None: ...

    @router.post("/stream")
    async def streamed(request: Request) -> None:
        async for _ in request.stream():
            pass

    client = serve(router, body_limit_bytes=10)
    for path in ("/json", "/stream"):
        response = client.post(path, content=iter([b"123456"] * 100), headers={"content-type": "application/json"})
        assert response.status_code == 413
        assert response.json()["detail"] == "A request body may have 10 bytes here."
        assert response.headers["connection"] == "close"
    assert client.post("/stream", content=iter([b"12345", b"12345"])).status_code == 200


def test_a_chunked_body_is_refused_outside_the_framework_too(serve: Serve) -> None:
    router = APIRouter()
    router.mount("/raw", reader)
    assert serve(router, body_limit_bytes=10).post("/raw", content=iter([b"1" * 11])).status_code == 413


@pytest.mark.anyio
async def test_no_more_of_a_body_is_read_than_needed() -> None:
    pieces = iter([b"123456"] * 100)
    with pytest.raises(HTTPException, match="413"):
        await call(body_limited, scope(headers=[CHUNKED]), pieces)
    assert len(list(pieces)) == 98


@pytest.mark.anyio
async def test_a_chunked_body_without_limit_is_left_alone() -> None:
    messages = await call(body_limited, scope("/any", headers=[CHUNKED]), [b"x" * 1000])
    assert messages[1]["body"] == b"1000"


def test_a_slow_answer_is_cut_and_what_works_on_it_is_cancelled(serve: Serve) -> None:
    router = APIRouter()
    ended: list[str] = []

    @router.get("/slow")
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("slow")

    @router.get("/group")
    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(slow())

    client = serve(router, request_seconds=0.05)
    for path in ("/slow", "/group"):
        response = client.get(path)
        assert response.status_code == 504
        assert response.json()["detail"] == "There was no answer after 0.05 s."
    assert ended == ["slow", "slow"]


@pytest.mark.anyio
async def test_a_request_that_ended_is_forgotten() -> None:
    async def stubborn(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ValueError("instead") from None

    limited = TimeLimit(stubborn, seconds=PathValues(0.01, {}))
    with pytest.raises(ValueError, match="instead"):
        await call(exchanged(limited), scope())
    assert not limited._running
    assert not limited._expired
    task = asyncio.current_task()
    assert task
    assert not task.cancelling()


def test_a_thread_is_answered_in_time(serve: Serve) -> None:
    router = APIRouter()
    release = threading.Event()

    @router.get("/thread")
    def thread() -> None:
        release.wait(2 * HANGS)

    client = serve(router, request_seconds=0.05)
    try:
        assert client.get("/thread").status_code == 504
        assert not release.is_set()
    finally:
        release.set()


def test_a_response_that_has_begun_may_take_its_time(serve: Serve) -> None:
    router = APIRouter()

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            for number in range(5):
                yield f"{number}\n"
                await asyncio.sleep(0.5)

        return StreamingResponse(lines())

    assert serve(router, request_seconds=2).get("/stream").text == "0\n1\n2\n3\n4\n"


@pytest.mark.anyio
async def test_a_client_that_does_not_send_its_body_gets_408() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(60)

    messages = await call(time_limited(reader, 0.05), scope(), body())
    assert messages[0]["status"] == 408
    assert header(messages, b"connection") == b"close"


@pytest.mark.anyio
async def test_looking_whether_the_client_is_there_makes_no_408() -> None:
    async def polling(scope: Scope, receive: Receive, send: Send) -> None:
        assert not await Request(scope, receive).is_disconnected()
        await asyncio.sleep(60)

    async def body() -> AsyncIterator[bytes]:
        await asyncio.sleep(60)
        yield b""

    messages = await call(time_limited(polling, 0.05), scope(), body())
    assert messages[0]["status"] == 504


@pytest.mark.anyio
async def test_a_time_out_of_the_applications_own_passes() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        await call(time_limited(failing, 5), scope())


@pytest.mark.anyio
async def test_a_cancelled_request_stays_cancelled() -> None:
    async def hanging(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    before = asyncio.all_tasks()
    task = asyncio.create_task(call(time_limited(hanging, 30), scope()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before


@pytest.mark.anyio
async def test_what_comes_on_top_is_shed_and_what_is_there_is_finished() -> None:
    gate = asyncio.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        await ignorer(scope, receive, send)

    limited = ConcurrencyLimit(waiting, most=2)
    first = [asyncio.create_task(call(limited, scope())) for _ in range(2)]
    await asyncio.sleep(0)
    shed = await call(limited, scope())
    assert shed[0]["status"] == 503
    assert header(shed, b"retry-after") == b"1"
    assert json.loads(shed[1]["body"])["title"] == "Service Unavailable"
    gate.set()
    assert [messages[0]["status"] for messages in await asyncio.gather(*first)] == [200, 200]
    assert (await call(limited, scope()))[0]["status"] == 200


@pytest.mark.anyio
async def test_the_lifespan_takes_no_place() -> None:
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (gate.wait() if scope["type"] == "lifespan" else ignorer(scope, receive, send))

    limited = ConcurrencyLimit(app, most=1)
    life = asyncio.create_task(call(limited, {"type": "lifespan"}))
    await asyncio.sleep(0)
    assert (await call(limited, scope()))[0]["status"] == 200
    gate.set()
    await life


@pytest.mark.anyio
async def test_a_place_is_free_again_after_a_failure() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError

    limited = ConcurrencyLimit(failing, most=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await call(limited, scope())


@pytest.mark.anyio
@pytest.mark.parametrize(
    "limit",
    [
        body_limited,
        time_limited(ignorer, 1),
        ConcurrencyLimit(ignorer, most=1),
    ],
)
async def test_the_lifespan_passes(limit: Callable[[Scope, Receive, Send], AsyncIterator[Message]]) -> None:
    assert len(await call(limit, {"type": "lifespan"})) == 2  # type: ignore[arg-type]
