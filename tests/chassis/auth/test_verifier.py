import base64
import json
import sys
import time
from datetime import datetime, timedelta, tzinfo
from typing import Any, Self

import jwt
import pytest

from auth.forging import (
    KEYS,
    b64,
    claims,
    ec_key,
    ed_key,
    good,
    hmac_signed,
    private_pem,
    public_pem,
    rsa_key,
    settings,
    with_header,
)
from chassis_auth.errors import RefusedError
from chassis_auth.keys import set_keys
from chassis_auth.settings import EVERYBODY_KNOWS
from chassis_auth.verifier import Verifier, as_auth, verifier

pytestmark = pytest.mark.anyio
SECRET = EVERYBODY_KNOWS.encode()


def verifying(**values: Any) -> Verifier:
    given = settings(**values)
    return verifier(given, set_keys(as_auth(given)))


async def refused(token: str | bytes, **values: Any) -> str:
    """The reason why `token` is refused."""
    with pytest.raises(RefusedError) as caught:
        await verifying(**values).verify(token.encode() if isinstance(token, str) else token)
    return caught.value.reason


async def test_a_good_token_names_its_caller() -> None:
    caller = await verifying().verify(good(scope="a b", team="x").encode())
    assert caller.subject == "ada"
    assert caller.scopes == {"a", "b"}
    assert caller.claims["team"] == "x"
    with pytest.raises(TypeError):
        caller.claims["sub"] = "eve"  # type: ignore[index]


@pytest.mark.parametrize("algorithm", KEYS)
async def test_public_keys(algorithm: str) -> None:
    key = KEYS[algorithm]()
    token = good(algorithm, key)
    assert (await verifying(auth_public_key=public_pem(key)).verify(token.encode())).subject == "ada"
    assert await refused(good(algorithm, KEYS[algorithm]("other")), auth_public_key=public_pem(key)) == "signature"


async def test_of_several_public_keys_any_will_do() -> None:
    pems = public_pem(rsa_key("new")) + public_pem(rsa_key("old")) + public_pem(ec_key())
    taking = verifying(auth_public_key=pems)
    for token in (good("RS256", rsa_key("new")), good("RS256", rsa_key("old")), good("ES256", ec_key())):
        assert (await taking.verify(token.encode())).subject == "ada"
    assert await refused(good("RS256", rsa_key("none of them")), auth_public_key=pems) == "signature"


async def test_the_previous_secret_is_still_taken() -> None:
    new, old = "n" * 32, "o" * 32
    taking = verifying(auth_secret=new, auth_previous_secret=old)
    for secret in (new, old):
        assert (await taking.verify(good(key=secret).encode())).subject == "ada"
    assert await refused(good(key="x" * 32), auth_secret=new, auth_previous_secret=old) == "signature"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": timedelta(seconds=-31)}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": -1e300}, "expired"),
        ({"exp": None}, "claims"),
        ({"exp": "soon"}, "malformed"),
        ({"exp": [1]}, "malformed"),
        ({"exp": float("inf")}, "malformed"),
        ({"exp": float("nan")}, "malformed"),
        ({"nbf": timedelta(hours=1)}, "immature"),
        ({"nbf": {}}, "malformed"),
        ({"iat": timedelta(hours=1)}, "immature"),
        ({"iss": "somebody-else"}, "issuer"),
        ({"iss": ["under-test"]}, "issuer"),
        ({"iss": None}, "claims"),
        ({"aud": "somebody-else"}, "audience"),
        ({"aud": ["a", "b"]}, "audience"),
        ({"aud": {"under-test": 1}}, "audience"),
        ({"aud": ["under-test", 7]}, "audience"),
        ({"aud": None}, "claims"),
        ({"sub": None}, "claims"),
        ({"sub": ""}, "claims"),
        ({"sub": 7}, "malformed"),
        ({"sub": "x" * 256}, "claims"),
        ({"sub": "a\0"}, "claims"),
        ({"sub": "a\r\nb"}, "claims"),
        ({"sub": "\ud800"}, "claims"),
        ({"scope": 7}, "claims"),
        ({"scope": ["a", 7]}, "claims"),
        ({"scope": {"a": True}}, "claims"),
        ({"jti": 7}, "malformed"),
    ],
    ids=str,
)
async def test_claims_that_are_not_good(changed: dict[str, Any], reason: str) -> None:
    # From now: a name with a time in it would be another one in each process that runs tests.
    changed = {name: _from_now(value) if isinstance(value, timedelta) else value for name, value in changed.items()}
    token = hmac_signed({"alg": "HS256"}, claims(**changed), SECRET)
    assert await refused(token) == reason


def _from_now(distance: timedelta) -> float:
    return time.time() + distance.total_seconds()


async def test_clocks_may_differ_by_the_leeway_and_no_more() -> None:
    late, early = good(exp=time.time() - 20), good(nbf=time.time() + 20)
    for token in (late, early):
        assert (await verifying().verify(token.encode())).subject == "ada"
    assert await refused(late, auth_leeway_seconds=0) == "expired"
    assert await refused(early, auth_leeway_seconds=0) == "immature"


class InAnHour(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(hours=1, seconds=1)


async def test_a_token_expires_between_two_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    taking = verifying(auth_leeway_seconds=0)
    token = good(exp=_from_now(timedelta(hours=1))).encode()
    assert (await taking.verify(token)).subject == "ada"
    monkeypatch.setattr("jwt.api_jwt.datetime", InAnHour)
    with pytest.raises(RefusedError, match="expired"):
        await taking.verify(token)


async def test_issuer_audience_and_the_claim_of_the_scopes_are_settings() -> None:
    taking = verifying(
        auth_issuer="https://issuer.example", auth_audience=("one", "two"), auth_scopes_claim="permissions"
    )
    token = good(iss="https://issuer.example", aud=["other", "two"], permissions=["a", "b"], scope="ignored")
    assert (await taking.verify(token.encode())).scopes == {"a", "b"}


# --- What people try -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0, 1, 2])
async def test_every_changed_byte_is_noticed(part: int) -> None:
    taking, token = verifying(), good(scope="a").split(".")
    for at in range(len(token[part])):
        for other in ("A", "_") if token[part][at] not in "A_" else ("b",):
            changed = [*token]
            changed[part] = token[part][:at] + other + token[part][at + 1 :]
            with pytest.raises(RefusedError):
                await taking.verify(".".join(changed).encode())


async def test_claims_swapped_under_a_signature() -> None:
    header, _, signature = good().split(".")
    assert await refused(f"{header}.{b64(json.dumps(claims(sub='root')))}.{signature}") == "signature"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", " none", "HS1", "RS256", "HS384", "ES256K"])
async def test_an_algorithm_that_the_token_chose(algorithm: str) -> None:
    body = b64(json.dumps(claims()))
    for signature in ("", b64("x"), good().split(".")[2]):
        token = f"{b64(json.dumps({'alg': algorithm}))}.{body}.{signature}"
        assert await refused(token) == "key"
        assert await refused(token, auth_public_key=public_pem(ec_key())) in {"key", "signature"}


@pytest.mark.parametrize("make", [rsa_key, ec_key, ed_key])
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_a_public_key_is_no_secret(make: Any, algorithm: str) -> None:
    pem = public_pem(make())
    for secret in (pem, pem.strip(), pem.replace("\n", "\r\n"), "".join(pem.split("\n")[1:-2])):
        token = hmac_signed({"alg": algorithm}, claims(), secret.encode())
        assert await refused(token, auth_public_key=pem) == "key"
    der = base64.b64decode("".join(pem.split("\n")[1:-2]))
    assert await refused(hmac_signed({"alg": algorithm}, claims(), der), auth_public_key=pem) == "key"


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "PS512"])
async def test_an_algorithm_of_the_same_key_that_was_not_allowed(algorithm: str) -> None:
    token, pem = good(algorithm, rsa_key()), public_pem(rsa_key())
    assert await refused(token, auth_public_key=pem) == "key"
    allowing = verifying(auth_public_key=pem, auth_algorithms=(algorithm,))
    assert (await allowing.verify(token.encode())).subject == "ada"
    assert await refused(good("RS256", rsa_key()), auth_public_key=pem, auth_algorithms=(algorithm,)) == "key"


async def test_keys_that_a_token_brings_are_never_used() -> None:
    own = rsa_key("the attacker's")
    brought = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(own.public_key()))
    for header in (
        {"jwk": brought},
        {"jwk": {"kty": "oct", "k": b64("x" * 32)}},
        {"jku": "http://127.0.0.1:1/jwks.json"},
        {"x5u": "http://127.0.0.1:1/cert.pem"},
        {"x5c": [b64("certificate")]},
    ):
        token = jwt.encode(claims(), own, algorithm="RS256", headers=header)
        assert await refused(token, auth_public_key=public_pem(rsa_key())) == "signature"
        assert await refused(jwt.encode(claims(), "x" * 32, headers=header)) == "signature"


@pytest.mark.parametrize(
    "kid",
    ["../../../../dev/null", "/dev/null", "/etc/passwd", "x' UNION SELECT 'secret' --", "| sleep 5", "\x00", "é" * 100],
)
async def test_the_name_of_a_key_is_only_looked_up(kid: str) -> None:
    for secret in (b"", b"\x00" * 32, b"secret"):
        assert await refused(hmac_signed({"alg": "HS256", "kid": kid}, claims(), secret)) == "signature"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"crit": ["exp"]}, "critical"),
        ({"crit": []}, "critical"),
        ({"crit": ["b64"], "b64": False}, "critical"),
        ({"b64": False}, "critical"),
        ({"typ": "dpop+jwt"}, "type"),
        ({"typ": "logout+jwt"}, "type"),
        ({"typ": ["JWT"]}, "type"),
        ({"typ": None}, "type"),
        ({"kid": 7}, "malformed"),
        ({"kid": ["a"]}, "malformed"),
        ({"alg": None}, "malformed"),
        ({"alg": ["HS256"]}, "malformed"),
        ({"alg": {"HS256": 1}}, "malformed"),
    ],
    ids=str,
)
async def test_headers_that_are_not_good(header: dict[str, Any], reason: str) -> None:
    assert await refused(with_header(header)) == reason


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"])
async def test_types_of_tokens(kind: str) -> None:
    assert (await verifying().verify(with_header({"typ": kind}).encode())).subject == "ada"


@pytest.mark.parametrize(
    "token",
    [
        b"x",
        b".",
        b"..",
        b"...",
        b"a.b.c",
        b"\xff\xfe.\x00.\x80",
        b"{}.{}.{}",
        "ä.ö.ü".encode(),
        f"{b64('7')}.{b64('7')}.".encode(),
        f"{b64('null')}.e30.e30".encode(),
        f"{b64('[]')}.e30.e30".encode(),
        f"{b64('{')}.e30.e30".encode(),
        (b64("{" * 1000) + ".e30.e30").encode(),
        f"{b64('[' * 1500)}.e30.e30".encode(),
        b"=" * 100 + b"." * 100,
    ],
)
async def test_what_is_no_token_at_all(token: bytes) -> None:
    assert await refused(token) in {"malformed", "key"}


async def test_a_payload_that_is_no_object() -> None:
    for payload in ("7", "null", "[]", '"ada"', "{", "\ud800".encode("utf-16", "surrogatepass").decode("latin-1")):
        assert await refused(hmac_signed({"alg": "HS256"}, payload, SECRET)) == "malformed"


async def test_deep_nesting_is_refused_and_recurses_nowhere() -> None:
    deep = f'{{"sub": {"[" * 100_000}{"]" * 100_000}}}'
    assert await refused(hmac_signed({"alg": "HS256"}, deep, SECRET), auth_token_limit_bytes=1_000_000) == "malformed"
    assert sys.getrecursionlimit() < 100_000


async def test_huge_numbers_are_refused() -> None:
    for number in ("1" * 5000, "1e999", "-1e999"):
        token = hmac_signed({"alg": "HS256"}, f'{{"exp": {number}, "iss": "i", "aud": "a", "sub": "s"}}', SECRET)
        assert await refused(token, auth_token_limit_bytes=10_000) == "malformed"


async def test_too_large_a_token_is_not_even_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    taking, token = verifying(), good(padding="x" * 9000).encode()
    monkeypatch.setattr("chassis_auth.verifier._header", None)  # would be called
    with pytest.raises(RefusedError) as caught:
        await taking.verify(token)
    assert caught.value.reason == "too_large"


async def test_large_scopes_and_many_of_them_are_fine() -> None:
    many = " ".join(f"thing{number}:read" for number in range(200))
    assert len((await verifying().verify(good(scope=many).encode())).scopes) == 200


async def test_a_private_key_alone_verifies_what_it_signs() -> None:
    key = private_pem(ed_key())
    assert (await verifying(auth_private_key=key).verify(good("EdDSA", ed_key()).encode())).subject == "ada"
