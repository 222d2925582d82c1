"""The bearer of a token: what an endpoint asks for, and what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.types import Scope

from chassis.http.exchange import KEY as EXCHANGE
from chassis.http.rate_limit import client_address

from . import errors
from .caller import Caller
from .keys import NoKeysError, UnknownKeyError

if TYPE_CHECKING:
    from .verifier import Verifier

SCHEME = "token"
"""What OpenAPI calls this way to say who one is."""
FOUND = "chassis.caller"
"""Where the scope of a request has its caller, once the token was verified."""


class Bearer(SecurityBase):
    """The dependency: verifies the token of a request, and that it has the scopes that are asked for."""

    def __init__(self) -> None:
        self.scheme_name = SCHEME
        self.model = HTTPBearer(bearerFormat="JWT", description="A token of the issuer that this service trusts.")

    # One dependency and not a chain of them: each costs a third of a small request.
    async def __call__(self, request: Request, scopes: SecurityScopes) -> Caller:
        caller = request.scope.get(FOUND) or await _verified(request.scope)
        if scopes.scopes and not caller.may(*scopes.scopes):
            raise errors.insufficient(scopes.scopes)
        return caller


caller = Bearer()
"""The dependency that gives the caller: ``Annotated[Caller, Security(caller)]``, or for short `CurrentCaller`."""

CurrentCaller = Annotated[Caller, Security(caller)]
"""What an endpoint annotates a parameter with to be given its caller, whatever the scopes."""


def requires(*scopes: str) -> Any:
    """A dependency that lets in callers with all of `scopes`:

        @router.post("/orders", dependencies=[requires("orders:write")])
        async def order() -> None: ...

        async def order(caller: Annotated[Caller, requires("orders:write")]) -> None: ...

    It answers 401 without a valid token and 403 without a scope, and stands so in OpenAPI.
    """
    return Security(caller, scopes=scopes)


def caller_or_address(scope: Scope) -> str | None:
    """Whom a request counts for, as `Service(rate_limit_key=caller_or_address)`: its caller, else its address.

    A token that is not valid counts for the address that it came from: nobody gets more by making some up.
    """
    token = _token(scope)
    if not token:
        return client_address(scope)
    try:
        found = _verifier(scope).at_once(token)
    except (errors.RefusedError, UnknownKeyError, NoKeysError):
        return client_address(scope)
    _remember(scope, found)
    return f"caller {found.subject}"


async def _verified(scope: Scope) -> Caller:
    credentials = _credentials(scope)
    if len(credentials) > 1:
        raise errors.repeated()
    token = _token(scope)
    if token is None:
        raise errors.missing()
    try:
        found = await _verifier(scope).verify(token)
    except errors.RefusedError as error:
        raise errors.invalid(error) from None
    except NoKeysError:
        raise errors.unavailable() from None
    _remember(scope, found)
    return found


def _remember(scope: Scope, found: Caller) -> None:
    scope[FOUND] = found
    if EXCHANGE in scope and _verifier(scope).tells_subject:
        scope[EXCHANGE].subject = found.subject


def _credentials(scope: Scope) -> list[bytes]:
    return [value for name, value in scope["headers"] if name == b"authorization"]


def _token(scope: Scope) -> bytes | None:
    """The token of a request, None where there is none or are two."""
    credentials = _credentials(scope)
    if len(credentials) != 1 or credentials[0][:7].lower() != b"bearer ":
        return None
    return credentials[0][7:].strip(b" ") or None


def _verifier(scope: Scope) -> Verifier:
    verifier: Verifier | None = scope.get("state", {}).get("auth")
    if verifier is None:
        raise RuntimeError(
            "An endpoint asks for its caller, and the service has no auth. Update it with --answer auth=true."
        )
    return verifier
