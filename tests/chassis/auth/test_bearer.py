import json
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Security
from starlette.testclient import TestClient

from asgi import scope
from auth.forging import good, rsa_key, settings
from chassis import Service
from chassis.http.rate_limit import Key, client_address
from chassis_auth import Auth, Caller, CurrentCaller, caller, caller_or_address, make_token, requires
from chassis_auth.errors import refusals

router = APIRouter()


@router.get("/open")
async def everybody() -> str:
    return "open"


@router.get("/me")
async def me(caller: CurrentCaller) -> dict[str, Any]:
    return {"subject": caller.subject, "scopes": sorted(caller.scopes), "claims": dict(caller.claims)}


@router.post("/orders", dependencies=[requires("orders:write")])
async def order() -> str:
    return "ordered"


@router.delete("/orders")
async def delete(caller: Annotated[Caller, requires("orders:write", "orders:delete")]) -> str:
    return caller.subject


@router.get("/long", responses={403: {"description": "Not long enough."}})
async def long(caller: Annotated[Caller, Security(caller, scopes=["long"])]) -> str:
    return caller.subject


guarded = APIRouter(prefix="/guarded", dependencies=[requires("guard")])


@guarded.get("/me")
async def guarded_me(caller: CurrentCaller) -> str:
    return caller.subject


@guarded.get("/more", dependencies=[requires("more")])
def in_a_thread(caller: CurrentCaller) -> str:
    return caller.subject


Serve = Callable[..., TestClient]


@pytest.fixture
def serve_auth(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")
    with ExitStack() as stack:

        def start(rate_limit_key: Key = client_address, **values: Any) -> TestClient:
            service = Service(
                package="under_test",
                routers=[router, guarded],
                parts={"auth": Auth()},
                rate_limit_key=rate_limit_key,
            )
            return stack.enter_context(TestClient(service.app(settings(access_log="logging", **values))))

        yield start


def bearer(*scopes: str, subject: str = "ada") -> dict[str, str]:
    return {"authorization": f"Bearer {make_token(settings(), subject=subject, scopes=scopes)}"}


def test_an_endpoint_is_given_its_caller(serve_auth: Serve) -> None:
    told = serve_auth().get("/me", headers=bearer("a", "b")).json()
    assert (told["subject"], told["scopes"], told["claims"]["iss"]) == ("ada", ["a", "b"], "under-test")


def test_what_asks_for_nothing_is_open(serve_auth: Serve) -> None:
    assert serve_auth().get("/open").status_code == 200
    assert serve_auth().get("/open", headers={"authorization": "Bearer rubbish"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "scopes", "status"),
    [
        ("POST", "/orders", "orders:write", 200),
        ("POST", "/orders", "orders:write orders:delete", 200),
        ("POST", "/orders", "orders:read", 403),
        ("POST", "/orders", "orders:write2", 403),
        ("POST", "/orders", "ORDERS:WRITE", 403),
        ("POST", "/orders", "orders", 403),
        ("POST", "/orders", "", 403),
        ("DELETE", "/orders", "orders:write", 403),
        ("DELETE", "/orders", "orders:delete orders:write", 200),
        ("GET", "/long", "long", 200),
        ("GET", "/long", "", 403),
        ("GET", "/guarded/me", "guard", 200),
        ("GET", "/guarded/me", "", 403),
        ("GET", "/guarded/more", "guard more", 200),
        ("GET", "/guarded/more", "guard", 403),
        ("GET", "/guarded/more", "more", 403),
    ],
)
def test_scopes(serve_auth: Serve, method: str, path: str, scopes: str, status: int) -> None:
    assert serve_auth().request(method, path, headers=bearer(*scopes.split())).status_code == status


def test_what_is_missing_is_told(serve_auth: Serve) -> None:
    answer = serve_auth().delete("/orders", headers=bearer("orders:write"))
    assert answer.headers["www-authenticate"].startswith('Bearer error="insufficient_scope", error_description="')
    assert answer.headers["www-authenticate"].endswith(', scope="orders:delete orders:write"')
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["required_scopes"]) == (403, ["orders:delete", "orders:write"])


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer  ", "Basic YTpi", "bearer", "Token x", "Bearerx y", "\u00e9"]
)
def test_without_a_token_no_error_is_told(serve_auth: Serve, header: str | None) -> None:
    headers = {} if header is None else {b"authorization": header.encode("latin-1")}
    answer = serve_auth().get("/me", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["detail"] == "This needs a token: Authorization: Bearer <token>."


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("rubbish", "The token is malformed."),
        ("a.b.c", "The header of the token is no JSON in base64."),
        (good(exp=1), "The token has expired."),
        (good(aud="x"), "The token is for somebody else: see its claim aud."),
        (good(key="y" * 32), "The signature of the token is not right."),
        ("x" * 9000, "The token is larger than 8192 bytes."),
        (good() + " " + good(), "The token is malformed."),
        (good() + "," + good(), "The token is malformed."),
    ],
)
def test_a_token_that_is_not_taken_is_told_of(serve_auth: Serve, token: str, text: str) -> None:
    answer = serve_auth().get("/me", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Bearer error="invalid_token", error_description="{text}"'
    assert answer.json()["detail"] == text
    assert token not in answer.text


@pytest.mark.parametrize("spelling", ["bearer", "BEARER", "Bearer", "bEaReR"])
def test_the_scheme_has_no_case(serve_auth: Serve, spelling: str) -> None:
    assert serve_auth().get("/me", headers={"authorization": f"{spelling}  {good()}"}).status_code == 200


def test_two_headers_are_refused_whichever_is_good(serve_auth: Serve) -> None:
    client = serve_auth()
    fine, bad = bearer()["authorization"], "Bearer x.y.z"
    for pair in ((fine, bad), (bad, fine), (fine, fine), (fine, "Basic YTpi")):
        answer = client.get("/me", headers=[("authorization", value) for value in pair])
        assert answer.status_code == 400
        assert 'error="invalid_request"' in answer.headers["www-authenticate"]


def test_a_token_elsewhere_is_none(serve_auth: Serve) -> None:
    client = serve_auth()
    assert client.get("/me", params={"access_token": good()}).status_code == 401
    assert client.get("/me", headers={"cookie": f"access_token={good()}"}).status_code == 401
    assert client.get("/me", headers={"x-forwarded-authorization": f"Bearer {good()}"}).status_code == 401


def test_refusals_are_counted_by_reason(serve_auth: Serve) -> None:
    def counted(reason: str) -> float:
        return refusals.labels(reason)._value.get()  # type: ignore[no-any-return]

    before = {reason: counted(reason) for reason in ("missing", "expired", "scope")}
    client = serve_auth()
    client.get("/me")
    client.get("/me", headers={"authorization": f"Bearer {good(exp=1)}"})
    client.post("/orders", headers=bearer())
    assert {reason: counted(reason) - count for reason, count in before.items()} == dict.fromkeys(before, 1)


def test_the_caller_stands_in_the_access_line(serve_auth: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def subjects(**values: Any) -> list[str | None]:
        caplog.clear()
        with caplog.at_level(logging.INFO, "chassis.access"):
            client = serve_auth(**values)
            client.get("/me", headers=bearer(subject="ada"))
            client.get("/me")
            client.get("/me", headers={"authorization": f"Bearer {good(exp=1, sub='eve')}"})
        return [getattr(record, "subject", None) for record in caplog.records if record.name == "chassis.access"]

    assert subjects() == ["ada", None, None]
    assert subjects(auth_log_subject=False) == [None, None, None]


def test_tokens_are_not_logged(serve_auth: Serve, caplog: pytest.LogCaptureFixture) -> None:
    token = good()
    with caplog.at_level(logging.DEBUG):
        client = serve_auth()
        client.get("/me", headers={"authorization": f"Bearer {token}"})
        client.get("/me", headers={"authorization": f"Bearer {token}x"})
    assert token not in caplog.text


def test_openapi_tells_of_tokens_scopes_and_refusals(serve_auth: Serve) -> None:
    document = serve_auth().get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert [(scheme["type"], scheme["scheme"]) for scheme in schemes.values()] == [("http", "bearer")]
    operation = document["paths"]["/orders"]["delete"]
    assert operation["security"] == [{"token": ["orders:write", "orders:delete"]}]
    assert document["paths"]["/guarded/more"]["get"]["security"] == [{"token": ["guard", "more"]}]
    for status, name in (("401", "UnauthorizedError"), ("403", "InsufficientScopeError")):
        assert operation["responses"][status] == {"$ref": f"#/components/responses/{name}"}
        response = document["components"]["responses"][name]
        assert "WWW-Authenticate" in response["headers"]
        assert response["content"]["application/problem+json"]["schema"]["$ref"].endswith(f"/{name}")
        assert document["components"]["schemas"][name]["properties"]["status"]["const"] == int(status)
    assert "security" not in document["paths"]["/open"]["get"]
    assert "401" not in document["paths"]["/open"]["get"]["responses"]


def test_what_an_endpoint_says_of_a_refusal_itself_stays(serve_auth: Serve) -> None:
    responses = serve_auth().get("/openapi.json").json()["paths"]["/long"]["get"]["responses"]
    assert responses["403"]["description"] == "Not long enough."
    assert responses["401"] == {"$ref": "#/components/responses/UnauthorizedError"}


def test_openapi_of_a_service_that_asks_nobody_says_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")
    document = Service(package="under_test", parts={"auth": Auth()}).api(settings()).openapi()
    assert "securitySchemes" not in document["components"]
    assert "UnauthorizedError" not in json.dumps(document)


def test_callers_are_limited_each_for_themselves(serve_auth: Serve) -> None:
    client = serve_auth(rate_limit_key=caller_or_address, rate_limit_requests=2)
    ada, eve = bearer(subject="ada"), bearer(subject="eve")
    assert [client.get("/me", headers=ada).status_code for _ in range(3)] == [200, 200, 429]
    again = bearer(subject="ada")  # another token, and the same caller
    assert client.get("/me", headers=again).status_code == 429
    assert client.get("/me", headers=eve).status_code == 200
    # Made-up tokens count for the address, however many there are.
    made_up = [{"authorization": f"Bearer {good(key=f'{number}' * 32, sub=str(number))}"} for number in range(4)]
    assert [client.get("/me", headers=headers).status_code for headers in made_up] == [401, 401, 429, 429]


def test_without_the_part_it_is_said_what_is_missing() -> None:
    with pytest.raises(RuntimeError, match="auth=true"):
        caller_or_address({**scope(headers=[(b"authorization", b"Bearer x")]), "state": {}})


def test_an_issuer_that_does_not_answer_makes_503_and_no_readiness(serve_auth: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = serve_auth(
            auth_jwks_url=f"http://127.0.0.1:{silent.getsockname()[1]}/jwks", auth_jwks_timeout_seconds=0.1
        )
        answer = client.get("/me", headers={"authorization": f"Bearer {good('RS256', rsa_key())}"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "NoKeysError" in ready.text
        assert client.get("/open").status_code == 200


def test_a_token_of_a_test_lasts_as_long_as_it_should() -> None:
    with pytest.raises(ValueError, match="expires"):
        make_token(settings(), subject="ada", expires=timedelta(0))


def test_a_test_can_say_who_is_calling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")
    service = Service(package="under_test", routers=[router, guarded], parts={"auth": Auth()})
    asked = [("GET", "/me"), ("POST", "/orders"), ("DELETE", "/orders"), ("GET", "/long"), ("GET", "/guarded/me")]
    with TestClient(service.app(settings())) as client:
        assert {client.request(*each).status_code for each in asked} == {401}
        service.dependency_overrides[caller] = lambda: Caller(subject="ada", scopes=frozenset(), claims={})
        assert {client.request(*each).status_code for each in asked} == {200}
        assert client.get("/me").json()["subject"] == "ada"
