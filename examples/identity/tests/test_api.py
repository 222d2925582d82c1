import json
import logging
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import update
from starlette.testclient import TestClient

from chassis.failures import StartError
from chassis_auth import make_token

from identity.__main__ import service
from identity.database import database, users

from .people import PASSWORD, change, hire_now, run_now, settings, user

WRONG = "The name or the password is wrong."


def log_in(client: TestClient, name: str = "ada", password: str = PASSWORD, **more: str) -> Any:
    return client.post("/auth/token", data={"grant_type": "password", "username": name, "password": password, **more})


def refresh(client: TestClient, token: str, **more: str) -> Any:
    return client.post("/auth/token", data={"grant_type": "refresh_token", "refresh_token": token, **more})


def me(client: TestClient, pair: dict[str, Any]) -> Any:
    return client.get("/auth/me", headers={"authorization": f"Bearer {pair['access_token']}"})


def test_logging_in_gives_a_pair(client: TestClient) -> None:
    answer = log_in(client)
    pair = answer.json()
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert (pair["token_type"], pair["expires_in"], pair["scope"]) == ("Bearer", 900, "read write")
    claims = jwt.decode(pair["access_token"], options={"verify_signature": False})
    assert me(client, pair).json() == {"subject": claims["sub"], "name": "ada", "scopes": ["read", "write"]}
    assert claims["preferred_username"] == "ada"
    assert claims["exp"] - claims["iat"] == 900
    assert jwt.get_unverified_header(pair["access_token"])["typ"] == "at+jwt"


def test_an_access_token_is_good_many_times_and_no_refresh_token_is_one(client: TestClient) -> None:
    pair = log_in(client).json()
    assert [me(client, pair).status_code for _ in range(5)] == [200] * 5
    assert me(client, {"access_token": pair["refresh_token"]}).status_code == 401
    assert refresh(client, pair["access_token"]).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("name", ["Ada", " ADA ", "\uff41da"])
def test_a_name_has_many_spellings(client: TestClient, name: str) -> None:
    assert log_in(client, name).status_code == 200


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


def test_of_many_refreshes_at_once_one_wins(client: TestClient) -> None:
    token = log_in(client).json()["refresh_token"]
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: refresh(client, token), range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 15
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert refresh(client, won["refresh_token"]).status_code == 400


def test_logging_out_ends_the_session_and_tells_nothing(client: TestClient) -> None:
    pair = log_in(client).json()
    for token in (pair["refresh_token"], pair["refresh_token"], "rubbish", pair["access_token"]):
        assert client.post("/auth/revoke", data={"token": token}).status_code == 200
    assert refresh(client, pair["refresh_token"]).status_code == 400
    assert me(client, pair).status_code == 200  # until it expires


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


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
def test_bodies_that_are_no_forms(client: TestClient, kind: str) -> None:
    body = json.dumps({"grant_type": "password", "username": "ada", "password": PASSWORD})
    answer = client.post("/auth/token", content=body, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_who_guesses_is_slowed_down_and_others_are_not(tables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_LOGIN_ATTEMPTS", "3")
    hire_now("ada")
    hire_now("eve")
    with TestClient(service.app()) as client:
        guesses = [log_in(client, "ada", "guess") for _ in range(4)]
        assert [answer.status_code for answer in guesses] == [400, 400, 400, 429]
        assert 1 <= int(guesses[-1].headers["retry-after"]) <= 300
        assert guesses[-1].json()["error"] == "slow_down"
        assert log_in(client).status_code == 429  # even with the right password
        assert [log_in(client, "nobody", "guess").status_code for _ in range(4)] == [400, 400, 400, 429]
        assert [log_in(client, "eve").status_code for _ in range(5)] == [200] * 5


def test_a_change_to_a_user_ends_the_sessions(client: TestClient) -> None:
    def changed(**values: Any) -> None:
        assert client.portal
        client.portal.call(partial(change, "ada", **values))

    pair = log_in(client).json()
    changed(scopes="read")
    assert refresh(client, pair["refresh_token"]).status_code == 400
    pair = log_in(client).json()
    assert pair["scope"] == "read"
    changed(disabled=True)
    assert refresh(client, pair["refresh_token"]).status_code == 400
    assert log_in(client).json()["detail"] == WRONG
    changed(disabled=False)
    assert log_in(client).status_code == 200


def test_what_a_user_lost_is_not_refreshed(client: TestClient) -> None:
    async def lose() -> None:  # with the session left as it is, as a change that comes at the same moment would
        async with database.session() as session:
            await session.execute(update(users).values(scopes="read"))

    pair = log_in(client).json()
    assert client.portal
    client.portal.call(lose)
    again = refresh(client, pair["refresh_token"]).json()
    assert (again["scope"], me(client, again).json()["scopes"]) == ("read", ["read"])


def stored(client: TestClient) -> str:
    """The hash of ada's password."""
    assert client.portal
    return client.portal.call(user, "ada").password


def test_an_old_hash_is_renewed_at_the_next_log_in(tables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    hire_now("ada")
    before = run_now(user("ada")).password
    monkeypatch.setenv("APP_ARGON2_PASSES", "2")
    with TestClient(service.app()) as client:
        assert log_in(client, password="wrong").status_code == 400  # noqa: S106
        assert stored(client) == before
        assert log_in(client).status_code == 200
        renewed = stored(client)
        assert "t=2" in renewed
        assert log_in(client).status_code == 200
        assert stored(client) == renewed


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


def test_the_docs_page_is_told_where_to_log_in(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    login = document["components"]["securitySchemes"]["login"]
    flow = login["flows"]["password"]
    assert (login["type"], flow["tokenUrl"], flow["refreshUrl"]) == ("oauth2", "auth/token", "auth/token")
    assert document["paths"]["/auth/me"]["get"]["security"] == [{"token": []}, {"login": []}]
    assert set(document["paths"]["/auth/token"]["post"]["responses"]) >= {"200", "400", "429", "503"}
    assert "security" not in document["paths"]["/auth/token"]["post"]


@cache
def keys() -> tuple[str, str]:
    """A private key, and the public key of the one before, as PEM."""
    private = ed25519.Ed25519PrivateKey.generate()
    before = rsa.generate_private_key(65537, 2048).public_key()
    return (
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        before.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )


def test_public_keys_are_published_for_others(tables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    hire_now("ada", "read")
    for name, pem in zip(("PRIVATE", "PUBLIC"), keys(), strict=True):
        monkeypatch.setenv(f"APP_AUTH_{name}_KEY", pem)
    with TestClient(service.app()) as client:
        pair = log_in(client).json()
        assert me(client, pair).status_code == 200
        answer = client.get("/.well-known/jwks.json")
    assert "max-age" in answer.headers["cache-control"]
    published = answer.json()["keys"]
    assert [(key["kty"], key["alg"], key["use"]) for key in published] == [
        ("OKP", "EdDSA", "sig"),
        ("RSA", "RS256", "sig"),
    ]
    assert not {"d", "p", "q"} & {name for key in published for name in key}
    assert jwt.get_unverified_header(pair["access_token"])["kid"] == published[0]["kid"]
    told = jwt.decode(pair["access_token"], jwt.PyJWK(published[0]), algorithms=["EdDSA"], audience="identity")
    assert told["preferred_username"] == "ada"


def test_a_secret_is_not_published(client: TestClient) -> None:
    assert client.get("/.well-known/jwks.json").json() == {"keys": []}


def test_a_service_that_cannot_sign_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_AUTH_PUBLIC_KEY", keys()[1])
    with pytest.raises(StartError, match="cannot sign any"), TestClient(service.app()):
        pass


@pytest.mark.slow
def test_how_long_it_takes_tells_nothing(tables: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ARGON2_MEMORY_KIB": "4096", "ARGON2_PASSES": "2", "LOGIN_ATTEMPTS": "1000000"}.items():
        monkeypatch.setenv(f"APP_{name}", value)
    hire_now("ada")
    hire_now("gone")
    run_now(change("gone", disabled=True))
    kinds = {"wrong": ("ada", "guess"), "nobody": ("nobody", "guess"), "disabled": ("gone", PASSWORD)}
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    with TestClient(service.app()) as client:
        for _ in range(80):
            for kind, (name, password) in kinds.items():
                started = time.perf_counter()
                assert log_in(client, name, password).status_code == 400
                taken[kind].append(time.perf_counter() - started)
    medians = {kind: statistics.median(times) for kind, times in taken.items()}
    # One without hashing would take a third of the others.
    assert max(medians.values()) < 1.3 * min(medians.values()), medians


def test_a_token_of_the_command_is_good_here_too(client: TestClient) -> None:
    token = make_token(settings(), subject="x", scopes=["read"])
    assert me(client, {"access_token": token}).json() == {"subject": "x", "name": None, "scopes": ["read"]}
