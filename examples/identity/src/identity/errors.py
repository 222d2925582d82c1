"""What a client is told that gets no tokens: the members of RFC 6749 in a problem of RFC 9457."""

import math

from chassis import ProblemError


class GrantError(ProblemError):
    """No tokens for this. `error` is one of the words of RFC 6749, 5.2."""

    status = 400
    error: str
    error_description: str


class TooManyLoginsError(ProblemError):
    """This user name, or this address, was tried too often."""

    status = 429
    error: str
    error_description: str


class BusyError(ProblemError):
    """More people log in than this process can take."""

    status = 503
    error: str
    error_description: str


def refused(error: str, text: str) -> GrantError:
    """No tokens, because of `error`."""
    return GrantError(text, error=error, error_description=text)


def too_many(seconds: float) -> TooManyLoginsError:
    """Come again in so many `seconds`."""
    wait = max(math.ceil(seconds), 1)
    text = f"Too many attempts to log in. The next one is welcome in {wait} s."
    return TooManyLoginsError(text, headers={"retry-after": str(wait)}, error="slow_down", error_description=text)


def busy() -> BusyError:
    """Come again soon."""
    text = "Too many people log in at this moment. Try again soon."
    headers = {"retry-after": "2"}
    return BusyError(text, headers=headers, error="temporarily_unavailable", error_description=text)
