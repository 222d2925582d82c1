"""The example `identity`: what a team wrote, with all else rendered, run and asked as any service."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import example
from backing import database
from browser import Browser
from commands import run
from conftest import Render
from docs_page import LOG_IN, authorize, tried
from running import Answer, Running, run_in, running, write_package
from widened import Deploy

EXAMPLE = example.EXAMPLES / "identity"
PASSWORD = "correct horse battery staple"  # noqa: S105 - everybody's
SCOPES = ("--scope", "orders:read", "--scope", "orders:write")
QUARTER_OF_AN_HOUR = 900

# Of another service, which takes the tokens.
ORDERS = """
from fastapi import APIRouter

from chassis_auth import CurrentCaller, requires

router = APIRouter(prefix="/api/v1")


@router.get("/orders", dependencies=[requires("orders:read")])
async def orders(caller: CurrentCaller) -> dict[str, str]:
    return {"subject": caller.subject, "name": caller.claims["preferred_username"]}


@router.delete("/orders", dependencies=[requires("orders:delete")])
async def delete() -> None:
    pass
"""
KEY = """
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

key = generate_private_key(SECP256R1())
print(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
print(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service that the example becomes."""
    return example.written(EXAMPLE, tmp_path_factory.mktemp("examples") / "identity")


@pytest.fixture
def service(written: Path, tmp_path: Path) -> Path:
    """A copy of it, to run and to write into."""
    return Path(shutil.copytree(written, tmp_path / "identity", symlinks=True))


@pytest.fixture
def on_sqlite(service: Path, python: Path) -> Deploy:
    """A deploy on the defaults, where ada may log in."""
    return with_ada(Deploy(service, python, {}))


@pytest.fixture(params=["sqlite", "postgresql"])
def deploy(request: pytest.FixtureRequest, service: Path, python: Path) -> Iterator[Deploy]:
    """A deploy on each kind of database, where ada may log in."""
    with contextlib.ExitStack() as stack:
        is_server = request.param == "postgresql"
        variables = {"DATABASE_URL": stack.enter_context(database(python))} if is_server else {}
        yield with_ada(Deploy(service, python, variables))


def with_ada(deploy: Deploy) -> Deploy:
    deploy.say("db", "upgrade")
    deploy.say("user", "add", "ada", *SCOPES, typed=f"{PASSWORD}\n")
    return deploy


def post(process: Running, path: str, **form: str) -> Answer:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return process.get(path, "POST", headers, urlencode(form).encode())


def token(process: Running, **form: str) -> tuple[int, Any]:
    answer = post(process, "/auth/token", **form)
    return answer.status, answer.json


def log_in(process: Running, **form: str) -> tuple[int, Any]:
    return token(process, **{"grant_type": "password", "username": "ada", "password": PASSWORD, **form})


def logged_in(process: Running, **form: str) -> Any:
    """The pair of tokens of somebody who logs in."""
    status, pair = log_in(process, **form)
    assert status == 200, pair
    return pair


def refresh(process: Running, refresh_token: str) -> tuple[int, Any]:
    return token(process, grant_type="refresh_token", refresh_token=refresh_token)


def ask(process: Running, path: str, pair: Any, method: str = "GET") -> Answer:
    return process.get(path, method, {"authorization": f"Bearer {pair['access_token']}"})


@pytest.mark.slow
def test_who_logs_in_gets_an_access_token_for_many_uses_and_a_refresh_token_for_one(on_sqlite: Deploy) -> None:
    with on_sqlite.running() as process:
        pair = logged_in(process)
        assert (pair["expires_in"], pair["scope"]) == (QUARTER_OF_AN_HOUR, "orders:read orders:write")
        assert [ask(process, "/auth/me", pair).status for _ in range(3)] == [200] * 3
        status, newer = refresh(process, pair["refresh_token"])
        assert (status, ask(process, "/auth/me", newer).json) == (200, ask(process, "/auth/me", pair).json)
        assert post(process, "/auth/revoke", token=newer["refresh_token"]).status == 200
        assert refresh(process, newer["refresh_token"])[0] == 400
        assert 'logins_total{outcome="granted"} 1.0' in process.get("/metrics").body.decode()
        assert process.stop() == 0
    assert not [event for event in process.events if event["level"] in {"error", "critical"}]
    assert PASSWORD not in "".join(process.output + process.errors)


@pytest.mark.slow
def test_a_refresh_token_is_good_once_whichever_process_it_comes_to(deploy: Deploy) -> None:
    with deploy.running() as first, deploy.running() as second:
        pair = logged_in(first)
        assert [ask(process, "/auth/me", pair).status for process in (first, second)] == [200, 200]
        first.process.kill()  # who logged her in need not be there any more
        with deploy.running() as third:
            status, newer = refresh(second, pair["refresh_token"])
            assert status == 200
            replayed = refresh(third, pair["refresh_token"])
            ended = refresh(second, newer["refresh_token"])
    assert [(status, body["error"]) for status, body in (replayed, ended)] == [(400, "invalid_grant")] * 2


@pytest.mark.slow
def test_of_many_refreshes_at_once_in_two_processes_one_wins(deploy: Deploy) -> None:
    with deploy.running() as first, deploy.running() as second:
        used = logged_in(first)["refresh_token"]
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(lambda number: refresh((first, second)[number % 2], used), range(16)))
        assert sorted(status for status, _ in answers) == [200] + [400] * 15
        (won,) = [pair for status, pair in answers if status == 200]
        assert refresh(second, won["refresh_token"])[0] == 400


@pytest.mark.slow
def test_who_guesses_is_slowed_down_by_all_processes_together(deploy: Deploy) -> None:
    deploy.say("user", "add", "eve", typed=f"{PASSWORD}\n")
    several = {"APP_LOGIN_ATTEMPTS": "3"}
    with deploy.running(**several) as first, deploy.running(**several) as second:
        guesses = [log_in(process, password="a guess") for process in (first, second, first, second)]  # noqa: S106
        assert [status for status, _ in guesses] == [400, 400, 400, 429]
        assert log_in(first)[0] == 429  # even with the right password
        assert [log_in(second, username="eve")[0] for _ in range(5)] == [200] * 5


@pytest.mark.slow
def test_its_own_tests_pass_on_postgresql(service: Path, python: Path) -> None:
    with database(python) as url:
        done = run_in(service, python, "pytest", "-q", TEST_DATABASE_URL=url)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_how_long_a_log_in_takes_tells_nothing(service: Path, python: Path) -> None:
    done = run_in(service, python, "pytest", "-q", "-m", "slow")
    assert done.returncode == 0, done.stdout + done.stderr


def key(python: Path) -> tuple[str, str]:
    """A new private key and its public key, as PEM."""
    done = run(python, "-c", KEY)
    private, end, public = done.stdout.partition("-----END PRIVATE KEY-----\n")
    return private + end, public.strip()


@pytest.fixture
def orders(fresh: Render) -> Path:
    """Another service, which has nothing of the users but the address of the keys."""
    return write_package(fresh(auth=True), {"api.py": ORDERS})


def trusting(issuer: Running) -> dict[str, str]:
    """What that one must be told, and no more."""
    url = f"http://{issuer.host}:{issuer.port}/.well-known/jwks.json"
    return {"APP_ENVIRONMENT": "production", "APP_AUTH_JWKS_URL": url, "APP_AUTH_ISSUER": "identity"}


@pytest.mark.slow
def test_another_service_takes_its_tokens_by_its_published_keys(on_sqlite: Deploy, orders: Path, python: Path) -> None:
    old, new = key(python), key(python)
    known = {"APP_ENVIRONMENT": "production", "APP_AUTH_AUDIENCE": "identity,my-service"}
    with contextlib.ExitStack() as stack:
        issuer = stack.enter_context(on_sqlite.running(APP_AUTH_PRIVATE_KEY=old[0], **known))
        quick = {"APP_AUTH_JWKS_RETRY_SECONDS": "0.001"}
        other = stack.enter_context(running(orders, python, **trusting(issuer), **quick))
        pair = logged_in(issuer)
        me: Any = ask(issuer, "/auth/me", pair).json
        assert ask(other, "/api/v1/orders", pair).json == {"subject": me["subject"], "name": "ada"}
        assert ask(other, "/api/v1/orders", pair, "DELETE").status == 403
        assert ask(other, "/api/v1/orders", logged_in(issuer, scope="orders:write")).status == 403
        assert ask(other, "/api/v1/orders", {"access_token": pair["refresh_token"]}).status == 401
        stranger = on_sqlite.say("auth", "token", "--subject", "eve", APP_AUTH_PRIVATE_KEY=new[0], **known)
        assert ask(other, "/api/v1/orders", {"access_token": stranger.strip()}).status == 401
        assert issuer.stop() == 0
        keys = {"APP_AUTH_PRIVATE_KEY": new[0], "APP_AUTH_PUBLIC_KEY": old[1], "PORT": str(issuer.port)}
        newer = stack.enter_context(on_sqlite.running(**keys, **known))
        assert [ask(other, "/api/v1/orders", each).status for each in (pair, logged_in(newer))] == [200, 200]


@pytest.mark.slow
def test_a_service_that_is_not_among_the_audience_does_not_take_them(
    on_sqlite: Deploy, orders: Path, python: Path
) -> None:
    with (
        on_sqlite.running(APP_AUTH_PRIVATE_KEY=key(python)[0]) as issuer,
        running(orders, python, **trusting(issuer)) as other,
    ):
        assert ask(other, "/api/v1/orders", logged_in(issuer)).status == 401


@pytest.mark.slow
def test_without_a_key_to_sign_with_it_does_not_start(on_sqlite: Deploy, python: Path) -> None:
    done = on_sqlite.command("serve", APP_AUTH_PUBLIC_KEY=key(python)[1])
    assert done.returncode == 3
    assert "cannot sign any" in done.stdout + done.stderr


@pytest.mark.slow
def test_every_answer_is_what_openapi_says(on_sqlite: Deploy, tmp_path: Path) -> None:
    with on_sqlite.running(APP_LOGIN_ATTEMPTS="1000000") as process:
        command = ["schemathesis", "run", f"http://{process.host}:{process.port}/openapi.json", "--header"]
        command += [f"Authorization: Bearer {logged_in(process)['access_token']}"]
        command += ["--max-examples", "20", "--seed", "1", "--no-color"]
        # No pattern says which password is right.
        command += ["--exclude-checks", "positive_data_acceptance", "--checks", "all", "--generation-database", "none"]
        done = run(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"[1-9]\d* generated", done.stdout)
    assert not [event for event in process.events if event["level"] in {"error", "critical"}]


@pytest.mark.slow
def test_a_log_in_opens_what_asks_for_a_token_on_the_docs_page(wide: Browser, on_sqlite: Deploy) -> None:
    with on_sqlite.running() as process:
        wide.open(f"http://{process.host}:{process.port}/docs")
        assert tried(wide, "me_auth_me_get")[0] == "401"
        authorize(wide, LOG_IN, ("#oauth_username", "ada"), ("#oauth_password", PASSWORD))
        status, me = tried(wide, "me_auth_me_get")
        assert (status, me["name"]) == ("200", "ada")
        assert [line for line in wide.complaints() if " 401 " not in line] == []
