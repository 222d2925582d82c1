"""The endpoints that issue tokens: RFC 6749 (password and refresh_token), RFC 7009, RFC 7517."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from chassis.http.openapi import problems
from chassis.http.rate_limit import client_address
from chassis.settings import Settings

from .. import keys, pem
from ..verifier import as_auth
from .errors import BusyError, GrantError, TooManyLoginsError, refused
from .forms import described, form, required
from .issuer import Issuer, TokenPair

TOKEN_FORM = described(
    {
        "required": ["grant_type"],
        "properties": {
            "grant_type": {"type": "string", "enum": ["password", "refresh_token"]},
            "username": {"type": "string"},
            "password": {"type": "string", "format": "password"},
            "refresh_token": {"type": "string"},
            "scope": {"type": "string", "description": "With spaces between; without it, all that there is."},
        },
    }
)
REVOKE_FORM = described({"required": ["token"], "properties": {"token": {"type": "string"}}})
UNSTORED = {"cache-control": "no-store", "pragma": "no-cache"}


def router(issuer: Callable[[], Issuer], settings: Settings) -> APIRouter:
    """The endpoints below /auth.

    :param issuer: gives the issuer once the service runs.
    """
    router = APIRouter(prefix="/auth", tags=["auth"])

    @router.post("/token", responses=problems(GrantError, TooManyLoginsError, BusyError), openapi_extra=TOKEN_FORM)
    async def token(request: Request, response: Response) -> TokenPair:
        """Log in, or get the next pair of tokens for a refresh token, which can be used once."""
        parameters = await form(request)
        response.headers.update(UNSTORED)
        scopes = frozenset(parameters.get("scope", "").split())
        grant = required(parameters, "grant_type")
        if grant == "password":
            name, password = required(parameters, "username"), required(parameters, "password")
            address = client_address(request.scope) or "unknown"
            return await issuer().log_in(name, password, scopes, address=address)
        if grant == "refresh_token":
            return await issuer().refresh(required(parameters, "refresh_token"), scopes)
        raise refused("unsupported_grant_type", "The grant_type should be password or refresh_token.")

    @router.post("/revoke", responses=problems(GrantError), openapi_extra=REVOKE_FORM)
    async def revoke(request: Request) -> None:
        """Log out: end the session of a refresh token. An access token lasts until it expires."""
        await issuer().revoke(required(await form(request), "token"))

    if as_auth(settings).auth_private_key:
        document = published(settings)

        @router.get("/jwks.json")
        async def jwks(response: Response) -> dict[str, Any]:
            """The public keys, for other services that take these tokens."""
            response.headers["cache-control"] = "public, max-age=300"
            return document

    return router


def published(settings: Settings) -> dict[str, Any]:
    """The public keys as a JWKS, the one that signs first."""
    return {
        "keys": [
            {**pem.jwk(key.material), "kid": pem.thumbprint(key.material), "use": "sig", "alg": _usual(key)}
            for key in keys.set_keys(as_auth(settings)).at_hand().keys
        ]
    }


def _usual(key: keys.Key) -> str:
    return next(name for name in pem.BY_KIND[pem.kind(key.material)] if name in key.algorithms)
