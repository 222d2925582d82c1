"""The service's endpoints: RFC 6749 (the grants password and refresh_token), RFC 7009, RFC 7517."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response, Security
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel

from chassis import client_address, problems
from chassis_auth import CurrentCaller, published_keys

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
TOKEN_URL = "auth/token"  # noqa: S105 - relative, because a proxy may have put a prefix before it

router = APIRouter()

# Refuses nothing: it shows on the docs page where to log in, beside a field for a token that one has already.
logged_in = OAuth2PasswordBearer(TOKEN_URL, scheme_name="login", refreshUrl=TOKEN_URL, auto_error=False)


class Me(BaseModel):
    """Whom a token speaks for, and what it allows."""

    subject: str
    name: str | None
    scopes: list[str]


@router.post(
    "/auth/token",
    tags=["auth"],
    responses=problems(GrantError, TooManyLoginsError, BusyError),
    openapi_extra=TOKEN_FORM,
)
async def token(request: Request, response: Response) -> TokenPair:
    """Log in, or get the next pair of tokens for a refresh token, which can be used once."""
    issuer: Issuer = request.state.issuer
    parameters = await form(request)
    response.headers.update(UNSTORED)
    scopes = frozenset(parameters.get("scope", "").split())
    grant = required(parameters, "grant_type")
    if grant == "password":
        name, password = required(parameters, "username"), required(parameters, "password")
        address = client_address(request.scope) or "unknown"
        return await issuer.log_in(name, password, scopes, address=address)
    if grant == "refresh_token":
        return await issuer.refresh(required(parameters, "refresh_token"), scopes)
    raise refused("unsupported_grant_type", "The grant_type should be password or refresh_token.")


@router.post("/auth/revoke", tags=["auth"], responses=problems(GrantError), openapi_extra=REVOKE_FORM)
async def revoke(request: Request) -> None:
    """Log out: end the session of a refresh token. An access token lasts until it expires."""
    issuer: Issuer = request.state.issuer
    await issuer.revoke(required(await form(request), "token"))


@router.get("/auth/me", tags=["auth"])
async def me(caller: CurrentCaller, _: Annotated[str | None, Security(logged_in)]) -> Me:
    """Say who you are."""
    return Me(subject=caller.subject, name=caller.claims.get("preferred_username"), scopes=sorted(caller.scopes))


@router.get("/.well-known/jwks.json", tags=["keys"])
async def jwks(request: Request, response: Response) -> dict[str, Any]:
    """The public keys, for other services that take these tokens."""
    response.headers["cache-control"] = "public, max-age=300"
    return published_keys(request.state.settings)
