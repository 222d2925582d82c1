from typing import Any

import jwt
import pytest

from auth.forging import AnyKey, ec_key, ed_key, private_pem, public_pem, rsa_key, settings
from chassis import Settings
from chassis_auth import make_token, published_keys
from chassis_auth.keys import SetKeys, from_jwks
from chassis_auth.settings import EVERYBODY_KNOWS
from chassis_auth.verifier import Verifier, as_auth, verifier

pytestmark = pytest.mark.anyio


def signing(key: AnyKey, **values: Any) -> Settings:
    return settings(auth_private_key=private_pem(key), **values)


def trusting(issuer: Settings) -> Verifier:
    """What another service verifies with, which knows of the issuer what it publishes."""
    other = settings(auth_jwks_url="https://issuer.example/jwks.json", auth_issuer="under-test")
    return verifier(other, SetKeys(from_jwks(published_keys(issuer), as_auth(other), most=10).keys))


@pytest.mark.parametrize("make", [rsa_key, ec_key, ed_key])
async def test_what_is_published_verifies_what_is_signed(make: Any) -> None:
    issuer = signing(make())
    token = make_token(issuer, subject="ada", scopes=["read"])
    caller = await trusting(issuer).verify(token.encode())
    assert (caller.subject, caller.scopes) == ("ada", frozenset({"read"}))
    assert jwt.get_unverified_header(token)["kid"] == published_keys(issuer)["keys"][0]["kid"]


async def test_a_token_of_the_key_before_is_verified_while_that_is_published() -> None:
    old = make_token(signing(rsa_key("old")), subject="ada")
    issuer = signing(ed_key(), auth_public_key=public_pem(rsa_key("old")))
    assert (await trusting(issuer).verify(old.encode())).subject == "ada"
    told = [(key["kty"], key["alg"], key["use"]) for key in published_keys(issuer)["keys"]]
    assert told == [("OKP", "EdDSA", "sig"), ("RSA", "RS256", "sig")]


def test_nothing_private_is_published() -> None:
    issuer = signing(rsa_key(), auth_public_key=public_pem(ec_key()) + public_pem(ed_key()))
    names = {name for key in published_keys(issuer)["keys"] for name in key}
    assert names == {"kty", "kid", "use", "alg", "n", "e", "crv", "x", "y"}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"auth_secret": "3f0c2f0b6d5e4a7c9b1d8e6f4a2c0b9d"},
        {"auth_jwks_url": "https://issuer.example/jwks.json"},
    ],
    ids=str,
)
def test_where_it_has_no_public_key_of_its_own_nothing_is_published(values: dict[str, str]) -> None:
    assert published_keys(settings(**values)) == {"keys": []}


def test_a_key_that_may_not_sign_is_not_published() -> None:
    issuer = signing(ec_key(), auth_public_key=public_pem(rsa_key()), auth_algorithms=("ES256",))
    assert [key["alg"] for key in published_keys(issuer)["keys"]] == ["ES256"]


def test_a_token_can_say_more() -> None:
    token = make_token(settings(), subject="1", claims={"preferred_username": "ada"})
    told = jwt.decode(token, EVERYBODY_KNOWS, algorithms=["HS256"], audience="under-test", issuer="under-test")
    assert (told["preferred_username"], told["sub"]) == ("ada", "1")


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "iat", "exp", "jti", "scope"])
def test_what_a_token_says_anyway_is_not_said_otherwise(name: str) -> None:
    with pytest.raises(ValueError, match=f"claims has {name}, which"):
        make_token(settings(), subject="1", claims={name: "eve"})
