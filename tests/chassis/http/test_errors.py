import datetime
import decimal
import enum
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Literal

import pydantic
import pytest
from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from chassis import ProblemError
from chassis.http import errors

SECRET = "hunter2-swordfish"  # noqa: S105
Serve = Callable[..., TestClient]


class OutOfStockError(ProblemError):
    """Somebody was faster."""

    status = 409
    title = "Out of stock"
    type = "/problems/out-of-stock"
    left: int


class Colour(enum.Enum):
    RED = "red"


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]


class Order(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    number: int = 0
    price: decimal.Decimal = decimal.Decimal(0)
    share: float = 0
    on: datetime.datetime | None = None
    day: datetime.date | None = None
    at: datetime.time | None = None
    wait: datetime.timedelta | None = None
    id: uuid.UUID | None = None
    url: pydantic.HttpUrl | None = None
    colour: Colour = Colour.RED
    word: Literal["yes", "no"] = "yes"
    yes: bool = True
    short: Annotated[str, pydantic.Field(max_length=3)] = ""
    pattern: Annotated[str, pydantic.Field(pattern="^a$")] = "a"
    password: pydantic.SecretStr | None = pydantic.Field(default=None, max_length=4)
    pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")] | None = None
    names: dict[str, int] = {}
    lines: list[int] = []


router = APIRouter()


@router.get("/items/{item_id}")
async def item(item_id: Annotated[int, Path(gt=0)], limit: Annotated[int, Query(le=10)] = 1) -> int:
    return item_id + limit


@router.post("/orders")
async def order(order: Order) -> None:
    raise OutOfStockError("Only 2 are left.", left=2, headers={"X-Left": "2"})


@router.get("/raise/{status}")
async def fail(status: int) -> None:
    raise HTTPException(status, headers={"WWW-Authenticate": "Bearer"})


@router.get("/object")
async def structured() -> None:
    raise HTTPException(402, {"detail": "Pay first.", "price": 3, "status": "mine"})


@router.get("/bug")
async def bug() -> None:
    raise ValueError(SECRET)


@router.get("/late-bug")
async def late_bug() -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        yield b"first\n"
        raise ValueError(SECRET)

    return StreamingResponse(lines())


@router.get("/wrong-answer")
async def wrong_answer() -> int:
    return SECRET  # type: ignore[return-value]


async def broken_dependency() -> AsyncIterator[None]:
    yield
    raise ValueError(SECRET)


@router.get("/broken-dependency", dependencies=[Depends(broken_dependency)])
async def with_broken_dependency() -> int:
    return 1


@router.get("/ascii")
async def in_ascii() -> bytes:
    return "é".encode("ascii")


@router.post("/echo")
async def echo(request: Request) -> JSONResponse:
    return JSONResponse(await request.json())


@router.get("/gone")
async def gone() -> None:
    raise ClientDisconnect


@pytest.fixture
def client(serve: Serve) -> TestClient:
    return serve(router)


@pytest.mark.parametrize(
    ("method", "path", "status", "title"),
    [
        ("GET", "/nothing", 404, "Not Found"),
        ("GET", "/bug/nothing", 404, "Not Found"),
        ("DELETE", "/bug", 405, "Method Not Allowed"),
        ("GET", "/raise/401", 401, "Unauthorized"),
        ("GET", "/raise/418", 418, "I'm a Teapot"),
        ("GET", "/raise/599", 599, "Server Error"),
        ("GET", "/raise/477", 477, "Client Error"),
        ("GET", "/items/0", 422, "Unprocessable"),
        ("POST", "/orders", 422, "Unprocessable"),
        ("GET", "/bug", 500, "Internal Server Error"),
        ("GET", "/wrong-answer", 500, "Internal Server Error"),
        ("GET", "/gone", 499, "Client Error"),
    ],
)
def test_every_error_is_a_problem(client: TestClient, method: str, path: str, status: int, title: str) -> None:
    response = client.request(method, path, headers={"x-request-id": "abc"})
    problem = response.json()
    assert response.status_code == problem["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-request-id"] == problem["request_id"] == "abc"
    assert problem["title"].startswith(title)
    assert problem["type"] == "about:blank"
    assert problem["detail"]
    assert problem["instance"] == path
    assert SECRET not in response.text


def test_half_a_character_is_the_clients_fault_and_no_other_encoding_is(client: TestClient) -> None:
    assert client.post("/echo", content=b'"\\ud83d\\ude00"').json() == "😀"
    assert client.post("/echo", content=b'"\\ud83d"').status_code == 400
    assert client.get("/ascii").status_code == 500


def test_headers_of_an_error_are_kept(client: TestClient) -> None:
    assert client.get("/raise/401").headers["www-authenticate"] == "Bearer"
    assert client.delete("/bug").headers["allow"] == "GET"


@pytest.mark.parametrize("status", [204, 304])
def test_no_body_where_none_may_be(client: TestClient, status: int) -> None:
    response = client.get(f"/raise/{status}")
    assert (response.status_code, response.content) == (status, b"")


def test_an_answer_to_head_has_a_length_and_no_body(client: TestClient) -> None:
    response = client.head("/nothing")
    assert response.content == b""
    assert response.headers["content-length"] == client.get("/nothing").headers["content-length"]


def test_a_detail_that_is_an_object_adds_members_and_changes_none(client: TestClient) -> None:
    problem = client.get("/object").json()
    assert (problem["detail"], problem["price"], problem["status"]) == ("Pay first.", 3, 402)


def test_a_teams_own_error(client: TestClient) -> None:
    response = client.post("/orders", json={})
    assert response.headers["x-left"] == "2"
    problem = response.json()
    del problem["request_id"]
    assert problem == {
        "type": "/problems/out-of-stock",
        "title": "Out of stock",
        "status": 409,
        "detail": "Only 2 are left.",
        "instance": "/orders",
        "left": 2,
    }


def test_a_member_must_be_annotated() -> None:
    with pytest.raises(TypeError, match="OutOfStockError has no member lft: annotate it"):
        OutOfStockError("Only 2 are left.", lft=2)


def test_every_place_that_is_wrong_is_named(client: TestClient) -> None:
    assert client.get("/items/0", params={"limit": "x"}).json()["errors"] == [
        {
            "location": "path",
            "pointer": "#/item_id",
            "detail": "Input should be greater than 0",
            "code": "greater_than",
        },
        {
            "location": "query",
            "pointer": "#/limit",
            "detail": "Input should be a valid integer, unable to parse string as an integer",
            "code": "int_parsing",
        },
    ]


def test_a_pointer_is_escaped(client: TestClient) -> None:
    (fault,) = client.post("/orders", json={"names": {"a/b~c d": "x"}}).json()["errors"]
    assert fault["pointer"] == "#/names/a~1b~0c%20d"


def test_invalid_json_is_told_with_its_place(client: TestClient) -> None:
    (fault,) = client.post("/orders", content=b'{"a": }', headers={"content-type": "application/json"}).json()["errors"]
    assert fault["location"] == "body"
    assert fault["pointer"] == "#"
    assert fault["detail"] == "Invalid JSON at character 6: Expecting value"


@pytest.mark.parametrize("field", [name for name in Order.model_fields if name != "pet"])
@pytest.mark.parametrize("wrap", [lambda secret: secret, lambda secret: [secret], lambda secret: {"kind": secret}])
def test_what_was_sent_is_never_repeated(client: TestClient, field: str, wrap: Callable[[str], Any]) -> None:
    response = client.post("/orders", json={field: wrap(SECRET)})
    assert response.status_code == 422
    assert SECRET not in response.text


def test_a_wrong_tag_is_not_repeated(client: TestClient) -> None:
    response = client.post("/orders", json={"pet": {"kind": SECRET}})
    (fault,) = response.json()["errors"]
    assert fault["detail"] == "The tag 'kind' should be one of 'cat', 'dog'"
    assert SECRET not in response.text


def test_a_small_request_gets_no_large_answer(client: TestClient) -> None:
    response = client.post("/orders", json={"lines": ["x"] * 10_000})
    assert len(response.json()["errors"]) == 50
    assert response.json()["detail"].endswith("The first 50 of 10000 faults are listed.")


def failures(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("path", ["/bug", "/broken-dependency", "/wrong-answer"])
def test_a_failure_is_logged_once_with_its_traceback(
    client: TestClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    client.get(path)
    (record,) = failures(caplog)
    assert record.exc_info
    assert record.exc_info[2]


def test_expected_errors_are_not_logged_as_failures(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    for path in ("/nothing", "/items/0", "/raise/401", "/raise/503", "/gone"):
        client.get(path)
    client.post("/orders", json={})
    assert not failures(caplog)


def test_a_failure_after_the_response_began_is_logged_and_not_answered(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get("/late-bug").text == "first\n"
    assert len(failures(caplog)) == 1


SCOPE: Scope = {"type": "http", "method": "GET", "path": "/x\ud800", "headers": []}


async def answer(error: Exception, *, started: bool = False) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise NotImplementedError

    await errors.last_resort(error, started=started, scope=SCOPE, receive=receive, send=send)
    return sent


@pytest.mark.anyio
async def test_what_an_outer_part_raises_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    start, body = await answer(ValueError(SECRET))
    assert start["status"] == 500
    assert SECRET.encode() not in body["body"]
    assert len(failures(caplog)) == 1


@pytest.mark.anyio
async def test_an_http_exception_of_an_outer_part_is_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    start, _ = await answer(HTTPException(413))
    assert start["status"] == 413
    assert not failures(caplog)


@pytest.mark.anyio
@pytest.mark.parametrize("error", [ValueError(SECRET), HTTPException(413)])
async def test_an_answer_that_has_begun_is_followed_by_no_other(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    assert await answer(error, started=True) == []
    assert len(failures(caplog)) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [("\ud800", '"\\ud800"'), (10**30, "1" + "0" * 30), ("Grüße", '"Grüße"'), (datetime.date(2026, 1, 2), "2026")],
)
def test_whatever_a_member_is_the_problem_is_json(value: object, text: str) -> None:
    assert text in errors.encode({"member": value}).decode()


def test_an_app_that_is_mounted_raises_through(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async def raw(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError(SECRET)

    mounted = APIRouter()
    mounted.mount("/raw", raw)
    response = serve(mounted).get("/raw/x")
    assert response.status_code == 500
    assert response.json()["instance"] == "/raw/x"
    assert len(failures(caplog)) == 1


def test_the_requests_own_id_is_in_the_problem_and_the_log(client: TestClient) -> None:
    @router.get("/id")
    async def unused(request: Request) -> None: ...

    response = client.get("/nothing")
    assert response.json()["request_id"] == response.headers["x-request-id"]
