"""What a caller is told who is not let in: RFC 6750, as problem details."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import Counter

from chassis.http.errors import ProblemError

refusals = Counter("auth_refusals", "Requests that were turned away for their token, by reason.", ["reason"])


class UnauthorizedError(ProblemError):
    """No valid token came with the request."""

    status = 401


class RepeatedTokenError(ProblemError):
    """The request has more than one header Authorization."""

    status = 400


class InsufficientScopeError(ProblemError):
    """The token does not allow this."""

    status = 403
    required_scopes: list[str]


class KeysUnavailableError(ProblemError):
    """The keys to verify tokens with cannot be had at the moment."""

    status = 503


class RefusedError(Exception):
    """A token that is not taken. The text is for its bearer; `reason` is a word for metrics."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


def missing() -> UnauthorizedError:
    """Nobody said who they are."""
    refusals.labels("missing").inc()
    return UnauthorizedError("This needs a token: Authorization: Bearer <token>.", headers=_challenge({}))


def repeated() -> RepeatedTokenError:
    """Two tokens, of which a proxy may have checked the other."""
    refusals.labels("repeated").inc()
    text = "The request has more than one header Authorization."
    challenge = _challenge({"error": "invalid_request", "error_description": text})
    return RepeatedTokenError(text, headers=challenge)


def invalid(error: RefusedError) -> UnauthorizedError:
    """The token is not taken."""
    refusals.labels(error.reason).inc()
    challenge = _challenge({"error": "invalid_token", "error_description": str(error)})
    return UnauthorizedError(str(error), headers=challenge)


def insufficient(required: Iterable[str]) -> InsufficientScopeError:
    """The token is good, and for something else."""
    refusals.labels("scope").inc()
    scopes = sorted(required)
    text = f"This needs the scope {' '.join(scopes)}."
    challenge = _challenge({"error": "insufficient_scope", "error_description": text, "scope": " ".join(scopes)})
    return InsufficientScopeError(text, headers=challenge, required_scopes=scopes)


def unavailable() -> KeysUnavailableError:
    """It may be the token of a friend: the issuer's keys would tell."""
    refusals.labels("no_keys").inc()
    return KeysUnavailableError(
        "The keys to verify tokens with cannot be had at the moment.", headers={"retry-after": "5"}
    )


def _challenge(members: Mapping[str, str]) -> dict[str, str]:
    # Our own words only, without quotes or backslashes in them: they need no escaping.
    said = ", ".join(f'{name}="{value}"' for name, value in members.items())
    return {"www-authenticate": f"Bearer {said}".strip()}
