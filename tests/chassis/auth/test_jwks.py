import asyncio
import gzip
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import jwt
import pytest

from auth.forging import AnyKey, claims, ec_key, ed_key, hmac_signed, private_pem, rsa_key, settings
from auth.jwks_server import Issuer, serving
from chassis_auth import jwks, pem
from chassis_auth.errors import RefusedError
from chassis_auth.jwks import LARGEST, Jwks
from chassis_auth.keys import NoKeysError
from chassis_auth.verifier import Verifier, as_auth, verifier
from patience import HANGS

pytestmark = pytest.mark.anyio


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with serving() as issuer:
        issuer.publish(rsa_key(), ec_key(), ed_key())
        yield issuer


class Trusting:
    """A verifier with the keys of an issuer."""

    def __init__(self, session: aiohttp.ClientSession, issuer: Issuer, **values: Any) -> None:
        quick = {"auth_jwks_retry_seconds": 0.05, "auth_jwks_timeout_seconds": HANGS}
        given = settings(auth_jwks_url=issuer.url, **{**quick, **values})
        self.keys = Jwks(as_auth(given), session)
        self.verifier: Verifier = verifier(given, self.keys)

    async def subject(self, key: AnyKey, algorithm: str = "RS256", **header: Any) -> str:
        return (await self.verifier.verify(signed(key, algorithm, **header).encode())).subject


def signed(key: AnyKey, algorithm: str = "RS256", **header: Any) -> str:
    named = {"kid": pem.thumbprint(key.public_key()), **header}
    return jwt.encode(claims(), key, algorithm, {name: value for name, value in named.items() if value is not None})


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


@pytest.fixture
async def trusting(session: aiohttp.ClientSession, issuer: Issuer) -> AsyncIterator[Trusting]:
    trusting = Trusting(session, issuer)
    yield trusting
    await trusting.keys.close()


async def test_keys_are_fetched_once_for_many_tokens(trusting: Trusting, issuer: Issuer) -> None:
    for key, algorithm in ((rsa_key(), "RS256"), (ec_key(), "ES256"), (ed_key(), "EdDSA")):
        assert await trusting.subject(key, algorithm) == "ada"
        assert await trusting.subject(key, algorithm, kid=None) == "ada"
    assert issuer.asked == 1


async def test_many_requests_await_one_fetch(trusting: Trusting, issuer: Issuer) -> None:
    issuer.open.clear()
    asking = [asyncio.create_task(trusting.subject(rsa_key())) for _ in range(50)]
    await asyncio.sleep(0.1)
    issuer.open.set()
    assert set(await asyncio.gather(*asking)) == {"ada"}
    assert issuer.asked == 1


async def test_a_request_that_is_given_up_does_not_end_the_fetch_of_the_others(
    trusting: Trusting, issuer: Issuer
) -> None:
    issuer.open.clear()
    first = asyncio.create_task(trusting.subject(rsa_key()))
    second = asyncio.create_task(trusting.subject(rsa_key()))
    await asyncio.sleep(0.05)
    first.cancel()
    await asyncio.wait([first])
    issuer.open.set()
    assert await second == "ada"
    assert issuer.asked == 1


async def test_a_new_key_is_fetched_when_a_token_names_it(trusting: Trusting, issuer: Issuer) -> None:
    assert await trusting.subject(rsa_key()) == "ada"
    await asyncio.sleep(0.06)
    issuer.publish(rsa_key("new"))
    assert await trusting.subject(rsa_key("new")) == "ada"
    with pytest.raises(RefusedError, match="key"):
        await trusting.subject(rsa_key())  # the issuer took it back
    assert issuer.asked <= 3


async def test_made_up_names_of_keys_make_no_storm_of_fetches(session: aiohttp.ClientSession, issuer: Issuer) -> None:
    trusting = Trusting(session, issuer, auth_jwks_retry_seconds=60)
    assert await trusting.subject(rsa_key()) == "ada"
    for number in range(200):
        with pytest.raises(RefusedError):
            await trusting.subject(rsa_key("the attacker's"), kid=f"made-up-{number}")
    assert issuer.asked == 1
    assert await trusting.subject(rsa_key()) == "ada"


FAILURES: dict[str, dict[str, Any]] = {
    "hangs up": {"closes": True},
    "too slow": {"is_silent": True},
    "a byte at a time": {"drip": 0.5},
    "status 500": {"status": 500},
    "status 404": {"status": 404},
    "redirects": {"status": 302, "headers": "location: http://127.0.0.1:1/\r\n"},
    "garbage": {"body": b"<html>\xff\xfe</html>"},
    "nothing": {"body": b""},
    "no object": {"body": b"[1, 2]"},
    "keys no list": {"body": b'{"keys": {"a": 1}}'},
    "no keys": {"body": b'{"keys": []}'},
    "nested": {"body": b"[" * 100_000},
    "huge": {"body": b'{"keys": [' + b" " * LARGEST + b"]}"},
    "a bomb": {"body": gzip.compress(b" " * (20 * LARGEST)), "headers": "content-encoding: gzip\r\n"},
    "surrogates": {"body": b'{"keys": ["\\ud800"]}'},
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_an_outage_changes_nothing_for_tokens_of_known_keys(
    session: aiohttp.ClientSession, issuer: Issuer, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    # Only what takes too long waits for it: all else is quicker, on a machine of any speed.
    trusting = Trusting(session, issuer, auth_jwks_timeout_seconds=2)
    assert await trusting.subject(rsa_key()) == "ada"
    await asyncio.sleep(0.06)
    vars(issuer).update(FAILURES[failure])
    async with asyncio.timeout(HANGS):
        with caplog.at_level(logging.WARNING), pytest.raises(RefusedError):
            await trusting.subject(rsa_key("new"))
    assert await trusting.subject(rsa_key()) == "ada"
    assert "could not be fetched" in caplog.text
    await asyncio.sleep(0.06)
    vars(issuer).update(vars(Issuer()), url=issuer.url)
    issuer.publish(rsa_key("new"))
    assert await trusting.subject(rsa_key("new")) == "ada"
    await trusting.keys.close()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds pass, for the keys."""
    passed = 0.0

    def let_pass(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr(jwks, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed))
    return let_pass


async def test_old_keys_are_fetched_again_in_the_background(
    session: aiohttp.ClientSession, issuer: Issuer, later: Callable[[float], None]
) -> None:
    trusting = Trusting(session, issuer, auth_jwks_max_age_seconds=1000)
    assert await trusting.subject(rsa_key()) == "ada"
    issuer.open.clear()
    issuer.publish(rsa_key("new"))
    later(1001)
    assert await trusting.subject(rsa_key()) == "ada"  # with the old ones, while the issuer still thinks
    issuer.open.set()
    await trusting.keys.newest()
    with pytest.raises(RefusedError):
        await trusting.subject(rsa_key())
    assert await trusting.subject(rsa_key("new")) == "ada"
    await trusting.keys.close()


async def test_keys_are_not_kept_for_ever(
    session: aiohttp.ClientSession, issuer: Issuer, later: Callable[[float], None]
) -> None:
    trusting = Trusting(session, issuer, auth_jwks_max_age_seconds=1000, auth_jwks_keep_seconds=3000)
    assert await trusting.subject(rsa_key()) == "ada"
    issuer.status = 503
    later(2000)
    assert await trusting.subject(rsa_key()) == "ada"
    later(1001)
    with pytest.raises(NoKeysError):
        await trusting.subject(rsa_key())
    with pytest.raises(NoKeysError):
        await trusting.keys.usable()
    issuer.status = 200
    later(1)
    await trusting.keys.usable()
    assert await trusting.subject(rsa_key()) == "ada"
    await trusting.keys.close()


async def test_an_issuer_that_was_never_there_is_told_of_once(
    session: aiohttp.ClientSession, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.url = "http://127.0.0.1:1/jwks.json"
    trusting = Trusting(session, issuer, auth_jwks_retry_seconds=0.001)
    with caplog.at_level(logging.WARNING):
        await trusting.keys.prepare()
        for _ in range(5):
            await asyncio.sleep(0.01)
            with pytest.raises(NoKeysError):
                await trusting.subject(rsa_key())
    assert caplog.text.count("could not be fetched") == 1


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I"},
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": "RS512"},
        {"alg": 7},
        {"d": "AQAB"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"n": None},
        {"n": 7},
        {"e": "!!"},
        {"e": "AA"},
        {"kty": "EC"},
        {"kty": ["RSA"]},
        {"kty": None},
    ],
    ids=str,
)
async def test_keys_that_are_not_taken(trusting: Trusting, issuer: Issuer, entry: dict[str, Any]) -> None:
    key = rsa_key("odd")
    issuer.publish(key, **entry)
    document = json.loads(issuer.body)
    document["keys"] += [None, 7, "x", []]
    good = {**pem.jwk(rsa_key().public_key()), "kid": "good"}
    document["keys"].append(good)
    issuer.body = json.dumps(document).encode()
    with pytest.raises(RefusedError):
        await trusting.subject(key)
    assert await trusting.subject(rsa_key(), kid="good") == "ada"


async def test_a_shared_secret_among_the_keys_verifies_nothing(trusting: Trusting, issuer: Issuer) -> None:
    document = json.loads(issuer.body)
    document["keys"].append({"kty": "oct", "k": "A" * 43, "kid": "secret", "alg": "HS256"})
    issuer.body = json.dumps(document).encode()
    token = hmac_signed({"alg": "HS256", "kid": "secret"}, claims(), b"\0" * 32)
    with pytest.raises(RefusedError):
        await trusting.verifier.verify(token.encode())


async def test_a_public_key_is_no_secret_here_either(trusting: Trusting, issuer: Issuer) -> None:
    public = rsa_key().public_key()
    for secret in (issuer.body, json.dumps(pem.jwk(public)).encode(), private_pem(rsa_key()).encode()):
        for kid in (pem.thumbprint(public), None):
            token = hmac_signed({"alg": "HS256", **({"kid": kid} if kid else {})}, claims(), secret)
            with pytest.raises(RefusedError):
                await trusting.verifier.verify(token.encode())


async def test_a_token_without_a_name_is_tried_with_a_few_keys(trusting: Trusting, issuer: Issuer) -> None:
    issuer.publish(*(ec_key(str(number)) for number in range(20)))
    assert await trusting.subject(ec_key("0"), "ES256", kid=None) == "ada"
    with pytest.raises(RefusedError):
        await trusting.subject(ec_key("19"), "ES256", kid=None)
    assert await trusting.subject(ec_key("19"), "ES256") == "ada"


async def test_closing_ends_the_fetch(trusting: Trusting, issuer: Issuer) -> None:
    issuer.open.clear()
    waiting = asyncio.create_task(trusting.keys.newest())
    await asyncio.sleep(0.05)
    async with asyncio.timeout(HANGS / 2):  # the fetch itself may take longer
        await trusting.keys.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
