"""Verifies tokens: from bytes that anybody may have sent to a caller, or not."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

import jwt
from jwt import exceptions

from chassis.settings import Settings

from .caller import Caller
from .errors import RefusedError
from .keys import Key, Keys, NoKeysError, UnknownKeyError
from .settings import AuthSettings

TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""What `typ` may say of a token: an access token (RFC 9068), or nothing more than that it is one."""
LARGEST_HEADER = 2048  # characters
LONGEST_SUBJECT = 255  # characters, as OpenID Connect has it
NOT_IN_SUBJECTS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # some of these no database and no file takes
REFUSALS: Mapping[type[Exception], tuple[str, str]] = {
    exceptions.ExpiredSignatureError: ("expired", "The token has expired."),
    exceptions.ImmatureSignatureError: ("immature", "The token is not valid yet."),
    exceptions.InvalidAudienceError: ("audience", "The token is for somebody else: see its claim aud."),
    exceptions.InvalidIssuerError: ("issuer", "The token is of another issuer: see its claim iss."),
    exceptions.InvalidSignatureError: ("signature", "The signature of the token is not right."),
    exceptions.MissingRequiredClaimError: ("claims", "The token lacks one of the claims iss, aud, exp, sub."),
    exceptions.InvalidTokenError: ("malformed", "The token is malformed."),
}


class Header(NamedTuple):
    """What a token says of its signature, before anything is believed of it."""

    algorithm: str
    kid: str | None


class Verifier:
    """Verifies tokens as the settings say.

    :ivar tells_subject: whether access lines tell whom a token was for.
    """

    def __init__(self, settings: AuthSettings, keys: Keys, *, issuer: str, audience: tuple[str, ...]) -> None:
        self._keys = keys
        self._issuer, self._audience = issuer, audience
        self._leeway = settings.auth_leeway_seconds
        self._limit = settings.auth_token_limit_bytes
        self._scopes_claim = settings.auth_scopes_claim
        self.tells_subject = settings.auth_log_subject

    async def verify(self, token: bytes) -> Caller:
        """The caller that `token` speaks for. Raises RefusedError, and NoKeysError if there is nothing to verify with.

        Nothing of a token is remembered: the next request with it is verified anew.
        """
        try:
            return self.at_once(token)
        except (UnknownKeyError, NoKeysError):
            newer = await self._keys.newest()
        try:
            return self._verified(token, _header(token), newer)
        except UnknownKeyError:
            raise RefusedError("key", "The token is signed with a key or in a way that is not taken here.") from None

    def at_once(self, token: bytes) -> Caller:
        """As `verify`, with the keys that are at hand. Raises UnknownKeyError too, where newer ones might help."""
        if len(token) > self._limit:
            raise RefusedError("too_large", f"The token is larger than {self._limit} bytes.")
        return self._verified(token, _header(token), self._keys.at_hand())

    def _verified(self, token: bytes, header: Header, keys: Any) -> Caller:
        refusal: Exception | None = None
        for key in keys.find(header.kid, header.algorithm):
            try:
                return self._caller(self._claims(token, key))
            except exceptions.InvalidSignatureError as error:
                refusal = error  # perhaps it was another key
            except exceptions.PyJWTError as error:
                raise _refusal(error) from None
        raise _refusal(refusal)

    def _claims(self, token: bytes, key: Key) -> dict[str, Any]:
        return jwt.decode(
            token,
            key.material,
            algorithms=list(key.algorithms),
            audience=self._audience,
            issuer=self._issuer,
            leeway=self._leeway,
            options={"require": ["iss", "aud", "exp", "sub"], "enforce_minimum_key_length": True},
        )

    def _caller(self, claims: dict[str, Any]) -> Caller:
        if not 0 < len(claims["sub"]) <= LONGEST_SUBJECT:
            raise RefusedError("claims", f"The claim sub of the token has not 1 to {LONGEST_SUBJECT} characters.")
        if NOT_IN_SUBJECTS.search(claims["sub"]):
            raise RefusedError("claims", "The claim sub of the token has a character that cannot be written.")
        scopes = claims.get(self._scopes_claim, "")
        if isinstance(scopes, str):
            scopes = scopes.split()
        if not isinstance(scopes, list) or not all(isinstance(scope, str) for scope in scopes):
            raise RefusedError("claims", f"The claim {self._scopes_claim} of the token is neither a text nor a list.")
        return Caller(claims["sub"], frozenset(scopes), MappingProxyType(claims))


def _refusal(error: Exception | None) -> RefusedError:
    for kind, (reason, text) in REFUSALS.items():
        if isinstance(error, kind):
            return RefusedError(reason, text)
    return RefusedError("malformed", "The token is malformed.")


def _header(token: bytes) -> Header:
    encoded, dot, _ = token.partition(b".")
    if not dot or len(encoded) > LARGEST_HEADER:
        raise RefusedError("malformed", "The token is malformed.")
    return _parsed(encoded)


# A function of these bytes alone, which are the same for all tokens that one key signed.
@lru_cache(maxsize=64)
def _parsed(encoded: bytes) -> Header:
    try:
        header = json.loads(base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4)))
    except (ValueError, RecursionError, binascii.Error):
        raise RefusedError("malformed", "The header of the token is no JSON in base64.") from None
    if not isinstance(header, dict):
        raise RefusedError("malformed", "The header of the token is no JSON object.")
    # Whatever else it says of keys (jwk, jku, x5c, x5u) is never looked at: who could forge a token could forge that.
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or not isinstance(kid, str | None):
        raise RefusedError("malformed", "The header of the token has no alg, or a kid that is no text.")
    if "crit" in header or "b64" in header:
        raise RefusedError("critical", "The token asks for an extension (crit) that is not understood here.")
    if not isinstance(kind, str) or kind.lower() not in TYPES:
        raise RefusedError("type", "The typ of the token is none of JWT and at+jwt.")
    return Header(algorithm, kid)


def verifier(settings: Settings, keys: Keys) -> Verifier:
    """The verifier of a service with these `settings`, among them the capability's."""
    auth = as_auth(settings)
    return Verifier(auth, keys, issuer=issuer(settings), audience=audience(settings))


def as_auth(settings: Settings) -> AuthSettings:
    """`settings` as what they are besides. Raises TypeError if they lack the capability's."""
    if not isinstance(settings, AuthSettings):
        raise TypeError(f"{type(settings).__name__} has none of the settings of the capability auth.")
    return settings


def issuer(settings: Settings) -> str:
    """Whose tokens are taken."""
    return as_auth(settings).auth_issuer or settings.name


def audience(settings: Settings) -> tuple[str, ...]:
    """For whom tokens must be."""
    return as_auth(settings).auth_audience or (settings.name,)
