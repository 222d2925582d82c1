import asyncio
import contextlib
import json
import logging
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from starlette.testclient import TestClient

from auth.forging import ed_key, private_pem, public_pem, rsa_key, settings
from auth.issuing.people import PASSWORD, Company, on_sqlite
from chassis import Service
from chassis.failures import StartError
from chassis_auth import Auth, make_token
from chassis_auth.issuing import users

WRONG = "The name or the password is wrong."


def log_in(client: TestClient, name: str = "ada", password: str = PASSWORD, **more: str) -> Any:
    return client.post("/auth/token", data={"grant_type": "password", "username": name, "password": password, **more})


def refresh(client: TestClient, token: str, **more: str) -> Any:
    return client.post("/auth/token", data={"grant_type": "refresh_token", "refresh_token": token, **more})


def me(client: TestClient, pair: dict[str, Any]) -> Any:
    return client.get("/me", headers={"authorization": f"Bearer {pair['access_token']}"})


def test_logging_in_gives_a_pair(client: TestClient) -> None:
    answer = log_in(client)
    pair = answer.json()
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert (pair["token_type"], pair["expires_in"], pair["scope"]) == ("Bearer", 900, "read write")
    told = me(client, pair).json()
    assert told["scopes"] == ["read", "write"]
    assert told["claims"]["preferred_username"] == "ada"
    assert told["claims"]["exp"] - told["claims"]["iat"] == 900
    assert jwt.get_unverified_header(pair["access_token"])["typ"] == "at+jwt"


@on_sqlite
def test_an_access_token_is_good_many_times_and_no_refresh_token_is_one(client: TestClient) -> None:
    pair = log_in(client).json()
    assert [me(client, pair).status_code for _ in range(5)] == [200] * 5
    assert me(client, {"access_token": pair["refresh_token"]}).status_code == 401
    assert refresh(client, pair["access_token"]).json()["error"] == "invalid_grant"


@on_sqlite
@pytest.mark.parametrize("name", ["Ada", " ADA ", "\uff41da"])
def test_a_name_has_many_spellings(client: TestClient, name: str) -> None:
    assert log_in(client, name).status_code == 200


@on_sqlite
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada", "wrong"),
        ("ada", PASSWORD.upper()),
        ("nobody", PASSWORD),
        ("ada' --", PASSWORD),
        ("%", PASSWORD),
        ("x" * 5000, "y" * 5000),
        ("ada\u0000"[:3] + "\u200b", PASSWORD),
    ],
)
def test_what_is_wrong_is_not_told_apart(client: TestClient, name: str, password: str) -> None:
    answer = log_in(client, name, password)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert (problem["error"], problem["error_description"], problem["detail"]) == ("invalid_grant", WRONG, WRONG)


def test_scopes_can_be_fewer_and_never_more(client: TestClient) -> None:
    pair = log_in(client, scope="read").json()
    assert (pair["scope"], me(client, pair).json()["scopes"]) == ("read", ["read"])
    assert client.post("/notes", headers={"authorization": f"Bearer {pair['access_token']}"}).status_code == 403
    for more in ("write", "read write", "admin"):
        answer = refresh(client, pair["refresh_token"], scope=more)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    assert refresh(client, pair["refresh_token"]).json()["scope"] == "read"  # it was not used up by asking for too much
    assert log_in(client, scope="read admin").json()["error"] == "invalid_scope"


def test_a_refresh_token_is_good_once_and_its_reuse_ends_the_session(client: TestClient) -> None:
    first, other = log_in(client).json(), log_in(client).json()
    second = refresh(client, first["refresh_token"]).json()
    assert me(client, second).status_code == 200
    for token in (first["refresh_token"], second["refresh_token"]):
        answer = refresh(client, token)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert refresh(client, other["refresh_token"]).status_code == 200


def test_of_many_refreshes_at_once_in_two_processes_one_wins(company: Company) -> None:
    company.hire_now("ada", "read")
    # Two services with an event loop and a pool each, as two processes have.
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(TestClient(Company().service().app())) for _ in range(2)]
        token = log_in(clients[0]).json()["refresh_token"]
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(lambda number: refresh(clients[number % 2], token), range(16)))
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 15
        (won,) = [answer.json() for answer in answers if answer.status_code == 200]
        assert refresh(clients[1], won["refresh_token"]).status_code == 400


def test_logging_out_ends_the_session_and_tells_nothing(client: TestClient) -> None:
    pair = log_in(client).json()
    for token in (pair["refresh_token"], pair["refresh_token"], "rubbish", pair["access_token"]):
        assert client.post("/auth/revoke", data={"token": token}).status_code == 200
    assert refresh(client, pair["refresh_token"]).status_code == 400
    assert me(client, pair).status_code == 200  # until it expires


@on_sqlite
@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "invalid_request"),
        ("grant_type=", "invalid_request"),
        ("grant_type=password", "invalid_request"),
        ("grant_type=password&username=ada", "invalid_request"),
        ("grant_type=password&username=ada&password=", "invalid_request"),
        ("grant_type=password&grant_type=password&username=ada&password=x", "invalid_request"),
        ("grant_type=password&username=ada&username=eve&password=x", "invalid_request"),
        ("grant_type=password&username=ada%00&password=x", "invalid_request"),
        ("grant_type=password&username=%ff&password=x", "invalid_request"),
        ("grant_type=password&username=\u00e4&password=x", "invalid_request"),
        ("grant_type=refresh_token", "invalid_request"),
        ("grant_type=client_credentials", "unsupported_grant_type"),
        ("grant_type=PASSWORD&username=ada&password=x", "unsupported_grant_type"),
        ("&".join(f"p{number}=1" for number in range(100)), "invalid_request"),
        ("grant_type=password&username=ada&password=" + "x" * 17_000, "invalid_request"),
    ],
)
def test_forms_that_are_not_good(client: TestClient, body: str, error: str) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.post("/auth/token", content=body.encode(), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@on_sqlite
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_bodies_that_are_no_forms(client: TestClient, kind: str) -> None:
    body = json.dumps({"grant_type": "password", "username": "ada", "password": PASSWORD})
    answer = client.post("/auth/token", content=body, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_who_guesses_is_slowed_down_and_others_are_not(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_AUTH_LOGIN_ATTEMPTS", "3")
    company.hire_now("ada")
    company.hire_now("eve")
    with TestClient(company.service().app()) as client, TestClient(Company().service().app()) as another:
        guesses = [log_in(each, "ada", "guess") for each in (client, another, client, another)]
        assert [answer.status_code for answer in guesses] == [400, 400, 400, 429]
        assert 1 <= int(guesses[-1].headers["retry-after"]) <= 300
        assert guesses[-1].json()["error"] == "slow_down"
        assert log_in(client).status_code == 429  # even with the right password
        assert [log_in(client, "nobody", "guess").status_code for _ in range(4)] == [400, 400, 400, 429]
        assert [log_in(another, "eve").status_code for _ in range(5)] == [200] * 5


def test_a_change_to_a_user_ends_the_sessions(client: TestClient, company: Company) -> None:
    def change(**values: Any) -> None:
        async def run() -> None:
            database = Company()
            async with database.opened(), database.session() as session:
                await users.change(session, "ada", **values)

        asyncio.run(run())

    pair = log_in(client).json()
    change(scopes="read")
    assert refresh(client, pair["refresh_token"]).status_code == 400
    pair = log_in(client).json()
    assert pair["scope"] == "read"
    change(disabled=True)
    assert refresh(client, pair["refresh_token"]).status_code == 400
    assert log_in(client).json()["detail"] == WRONG
    change(disabled=False)
    assert log_in(client).status_code == 200


def test_an_old_hash_is_renewed_at_the_next_log_in(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    company.hire_now("ada")

    def stored() -> str:
        async def read() -> str:
            async with company.opened():
                return (await company.user("ada")).password

        return asyncio.run(read())

    before = stored()
    monkeypatch.setenv("APP_AUTH_ARGON2_PASSES", "2")
    with TestClient(Company().service().app()) as client:
        assert log_in(client, password="wrong").status_code == 400  # noqa: S106
        assert stored() == before
        assert log_in(client).status_code == 200
        assert "t=2" in stored()
        renewed = stored()
        assert log_in(client).status_code == 200
        assert stored() == renewed


@on_sqlite
def test_no_secret_is_logged(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        pair = log_in(client).json()
        again = refresh(client, pair["refresh_token"]).json()
        refresh(client, pair["refresh_token"])
        log_in(client, password="a wrong password")  # noqa: S106
    assert "logged in" in caplog.text
    told = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    for secret in (PASSWORD, quote(PASSWORD), "a wrong password", *pair.values(), *again.values()):
        if isinstance(secret, str) and len(secret) > 12:
            assert secret not in told


@on_sqlite
def test_the_docs_page_is_told_where_to_log_in(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    login = document["components"]["securitySchemes"]["login"]
    flow = login["flows"]["password"]
    assert (login["type"], flow["tokenUrl"], flow["refreshUrl"]) == ("oauth2", "auth/token", "auth/token")
    assert flow["scopes"] == {"write": ""}
    assert document["paths"]["/notes"]["post"]["security"] == [{"token": ["write"]}, {"login": ["write"]}]
    assert set(document["paths"]["/auth/token"]["post"]["responses"]) >= {"200", "400", "429", "503"}
    assert "security" not in document["paths"]["/auth/token"]["post"]
    assert "/auth/jwks.json" not in document["paths"]


@pytest.fixture
def signing(company: Company, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    company.hire_now("ada", "read")
    monkeypatch.setenv("APP_AUTH_PRIVATE_KEY", private_pem(ed_key()))
    monkeypatch.setenv("APP_AUTH_PUBLIC_KEY", public_pem(rsa_key("the one before")))
    with TestClient(company.service().app()) as client:
        yield client


@on_sqlite
def test_public_keys_are_published_for_others(signing: TestClient) -> None:
    pair = log_in(signing).json()
    assert me(signing, pair).status_code == 200
    answer = signing.get("/auth/jwks.json")
    assert "max-age" in answer.headers["cache-control"]
    keys = answer.json()["keys"]
    assert [(key["kty"], key["alg"], key["use"]) for key in keys] == [("OKP", "EdDSA", "sig"), ("RSA", "RS256", "sig")]
    assert not {"d", "p", "q"} & {name for key in keys for name in key}
    header = jwt.get_unverified_header(pair["access_token"])
    assert header["kid"] == keys[0]["kid"]
    told = jwt.decode(pair["access_token"], jwt.PyJWK(keys[0]), algorithms=["EdDSA"], audience="under-test")
    assert told["preferred_username"] == "ada"


@on_sqlite
def test_issuing_needs_what_it_needs(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Service(package="under_test", parts={"auth": Auth()})
    with pytest.raises(StartError, match="database=true"):
        alone.app(settings(auth_issue=True))
    monkeypatch.setenv("APP_AUTH_JWKS_URL", "https://issuer.example/jwks")
    with pytest.raises(StartError, match="cannot sign any"):
        company.service().app()
    monkeypatch.setenv("APP_AUTH_ISSUE", "false")
    with TestClient(company.service().app()) as client:
        assert log_in(client).status_code == 404


@on_sqlite
@pytest.mark.slow
def test_how_long_it_takes_tells_nothing(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ARGON2_MEMORY_KIB": "4096", "ARGON2_PASSES": "2", "LOGIN_ATTEMPTS": "1000000"}.items():
        monkeypatch.setenv(f"APP_AUTH_{name}", value)
    company.hire_now("ada")
    company.hire_now("gone")

    async def disable() -> None:
        async with company.opened(), company.session() as session:
            await users.change(session, "gone", disabled=True)

    asyncio.run(disable())
    kinds = {"wrong": ("ada", "guess"), "nobody": ("nobody", "guess"), "disabled": ("gone", PASSWORD)}
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    with TestClient(company.service().app()) as client:
        for _ in range(80):
            for kind, (name, password) in kinds.items():
                started = time.perf_counter()
                assert log_in(client, name, password).status_code == 400
                taken[kind].append(time.perf_counter() - started)
    medians = {kind: statistics.median(times) for kind, times in taken.items()}
    # One without hashing would take a third of the others.
    assert max(medians.values()) < 1.3 * min(medians.values()), medians


@on_sqlite
def test_a_token_of_the_command_is_good_here_too(client: TestClient, company: Company) -> None:
    token = make_token(company.settings(), subject="x", scopes=["read"])
    assert me(client, {"access_token": token}).json()["scopes"] == ["read"]
