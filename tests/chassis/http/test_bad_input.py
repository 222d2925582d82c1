"""Whatever is sent: never a 5xx, always a problem that says nothing of the inside."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Annotated

import pytest
from fastapi import APIRouter, Body, Cookie, Header
from pydantic import BaseModel
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from asgi import call, scope

Serve = Callable[..., TestClient]
pytestmark = pytest.mark.anyio
JSON = (b"content-type", b"application/json")
router = APIRouter()


class Tree(BaseModel):
    name: str
    number: int = 0
    share: float = 0
    children: list["Tree"] = []


@router.post("/tree")
async def tree(tree: Tree) -> Tree:
    return tree


@router.post("/any")
async def anything(value: Annotated[object, Body()]) -> str:
    return type(value).__name__


@router.get("/text/{text}")
async def text(
    text: str, q: str = "", number: int = 0, agent: Annotated[str, Header()] = "", jar: Annotated[str, Cookie()] = ""
) -> str:
    return text + q + agent + jar


@pytest.fixture
def app(serve: Serve) -> ASGIApp:
    return serve(router).app


async def status(app: ASGIApp, path: str, **more: object) -> int:
    body = more.pop("body", b"")
    messages = await call(app, scope(path, **more), [body])  # type: ignore[arg-type, list-item]
    code: int = messages[0]["status"]
    if code >= 400:
        problem = json.loads(messages[1]["body"])
        assert problem["status"] == code
        assert "Traceback" not in str(problem)
    return code


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"name": "\\u0000"}',
        b"[" * 100_000,
        b'{"name":"a","children":[' * 500 + b"]}" * 500,
        b"9" * 5000,
        b'{"name": "x", "number": ' + b"9" * 5000 + b"}",
        b'{"name": "x", "number": 1e999}',
        b'{"name": "x", "share": NaN}',
        b'{"name": "x", "share": Infinity}',
        b"null",
        b"\x00",
        b'"' + b"a" * 1_000_000 + b'"',
        b"\xef\xbb\xbf{}",
        '{"name": "a"}'.encode("utf-16"),
    ],
)
@pytest.mark.parametrize("path", ["/tree", "/any"])
async def test_bodies(app: ASGIApp, path: str, body: bytes) -> None:
    assert await status(app, path, method="POST", headers=[JSON], body=body) < 500


@pytest.mark.parametrize(
    "content_type",
    [
        b"",
        b"application/json; charset=\xff",
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b"multipart/form-data; boundary=" + b"x" * 5000,
        b"multipart/form-data; boundary=x",
        b"application/x-www-form-urlencoded",
        b"\xff/\xff",
    ],
)
@pytest.mark.parametrize("body", [b"", b"--x\r\n\r\n\xff\r\n--x--", b"name=%ff&%00=\x00", b"--x\r\n" * 10_000])
@pytest.mark.parametrize("path", ["/tree", "/any"])
async def test_content_types(app: ASGIApp, path: str, content_type: bytes, body: bytes) -> None:
    assert await status(app, path, method="POST", headers=[(b"content-type", content_type)], body=body) < 500


QUERIES = [b"%ff", b"q=%ff%fe", b"q=%00", b"number=%ff", b"&&&==;", b"q=" + b"a" * 100_000, b"number=" + b"9" * 5000]


@pytest.mark.parametrize("query", [*QUERIES, b"\xff\xfe", b"a&" * 20_000])
async def test_queries(app: ASGIApp, query: bytes) -> None:
    assert await status(app, "/text/x", query_string=query) < 500


@pytest.mark.parametrize(
    "path", ["/text/é", "/text/\x00", "/text/\ud800", "//", "/" * 10_000, "/text/" + "a" * 100_000, "", "*", "/\n"]
)
async def test_paths(app: ASGIApp, path: str) -> None:
    assert await status(app, path) < 500


@pytest.mark.parametrize(
    "headers",
    [
        [(b"agent", b"\xff\x00\n")],
        [(b"agent", b"a" * 1_000_000)],
        [(b"x-%d" % number, b"y") for number in range(10_000)],
        [(b"cookie", b"jar=\xff; =; ;;; a=b=c; " * 1000)],
        [(b"", b"")],
        [(b"x-request-id", b"a\r\nset-cookie: a=b")],
        [(b"content-length", b"x")],
        [(b"host", b"\xff"), (b"host", b"")],
        [(b"origin", b"\xff"), (b"access-control-request-method", b"\xff")],
        [(b"authorization", b"Bearer \xff")],
        [(b"if-none-match", b"\xff"), (b"range", b"bytes=-9999999999999999999-")],
    ],
)
@pytest.mark.parametrize("path", ["/text/x", "/docs/favicon.png", "/docs", "/openapi.json"])
async def test_headers(app: ASGIApp, path: str, headers: list[tuple[bytes, bytes]]) -> None:
    assert await status(app, path, headers=headers) < 500


@pytest.mark.parametrize("method", ["", "get", "BREW", "G\xff", "A" * 10_000, "CONNECT", "TRACE"])
async def test_methods(app: ASGIApp, method: str) -> None:
    assert await status(app, "/text/x", method=method) in {404, 405}


def mutants(seed: int) -> Iterator[bytes]:
    draw = random.Random(seed)  # noqa: S311
    for _ in range(200):
        body = bytearray(b'{"name": "caf\xc3\xa9", "number": 12, "share": 1.5, "children": [{"name": "\\u00e9"}]}')
        for _ in range(draw.randint(1, 5)):
            body[draw.randrange(len(body))] = draw.randrange(256)
        yield bytes(body)


@pytest.mark.parametrize("seed", range(5))
async def test_mutants_of_a_good_body(app: ASGIApp, seed: int) -> None:
    for body in mutants(seed):
        assert await status(app, "/tree", method="POST", headers=[JSON], body=body) < 500, body
