"""Signs tokens, where this process holds what it takes."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import jwt

from chassis.failures import StartError
from chassis.settings import Settings

from . import keys, pem
from .settings import AuthSettings
from .verifier import as_auth, audience, issuer

QUARTER_OF_AN_HOUR = timedelta(minutes=15)
TYPE = "at+jwt"  # RFC 9068


class Signer(NamedTuple):
    """What tokens are signed with."""

    algorithm: str
    material: Any
    kid: str | None

    def sign(self, claims: dict[str, Any]) -> str:
        """A token that says `claims`."""
        headers = {"typ": TYPE, **({"kid": self.kid} if self.kid else {})}
        return jwt.encode(claims, self.material, algorithm=self.algorithm, headers=headers)


def signer(settings: AuthSettings) -> Signer:
    """What the settings give to sign with. Raises StartError if it is nothing."""
    if settings.auth_private_key:
        key = pem.private_key(settings.auth_private_key.get_secret_value())
        public = key.public_key()
        algorithm = _algorithm(public, settings)
        if algorithm is None:
            raise StartError("auth_algorithms (APP_AUTH_ALGORITHMS) has none that auth_private_key can sign with.")
        return Signer(algorithm, key, pem.thumbprint(public))
    if settings.auth_public_key or settings.auth_jwks_url:
        raise StartError(
            "This service verifies tokens and cannot sign any: it has its issuer's public keys alone. Get a token from "
            "the issuer, or unset them, in development, to use the key that is there for it."
        )
    return Signer(*((settings.auth_algorithms or ("HS256",))[0], keys.secrets(settings)[0].encode()), None)


def make_token(
    settings: Settings,
    *,
    subject: str,
    scopes: Iterable[str] = (),
    expires: timedelta = QUARTER_OF_AN_HOUR,
    claims: Mapping[str, Any] | None = None,
) -> str:
    """A token that this service takes, as its tests and `python -m <package> auth token` need one.

    :param claims: what it says besides.

    Raises StartError if the settings hold nothing to sign with, and ValueError if it would not last for a second, or
    if `claims` has one that is made of the other arguments and the settings.
    """
    if expires < timedelta(seconds=1):
        raise ValueError("expires should be a second at least")
    auth = as_auth(settings)
    usual = _claims(settings, subject=subject, scopes=scopes, seconds=expires.total_seconds())
    more = claims or {}
    if twice := sorted({*usual, auth.auth_scopes_claim} & more.keys()):
        raise ValueError(f"claims has {twice[0]}, which the other arguments and the settings say")
    return signer(auth).sign({**usual, **more})


def published_keys(settings: Settings) -> dict[str, Any]:
    """The public keys of this service as a JWKS (RFC 7517), the one that signs first; none where a secret signs.

    Others verify its tokens with the address (APP_AUTH_JWKS_URL) of an endpoint that returns it.
    """
    auth = as_auth(settings)
    found = [key.material for key in keys.public_keys(auth)]
    return {
        "keys": [
            {**pem.jwk(key), "kid": pem.thumbprint(key), "use": "sig", "alg": algorithm}
            for key in found
            if (algorithm := _algorithm(key, auth))
        ]
    }


def _algorithm(public: Any, settings: AuthSettings) -> str | None:
    """The one that a key signs with, None if the settings allow none that it could."""
    allowed = keys.allowed_for(pem.kind(public), settings)
    return next((each for each in pem.BY_KIND[pem.kind(public)] if each in allowed), None)


def _claims(settings: Settings, *, subject: str, scopes: Iterable[str], seconds: float) -> dict[str, Any]:
    now, (first, *more) = int(time.time()), audience(settings)
    told = list(dict.fromkeys(scopes))
    claim = as_auth(settings).auth_scopes_claim
    return {
        "iss": issuer(settings),
        "aud": [first, *more] if more else first,
        "sub": subject,
        "iat": now,
        "exp": now + int(seconds),
        "jti": secrets.token_urlsafe(16),
        **({claim: " ".join(told)} if told else {}),
    }
