"""Security headers: what every response says to browsers, made once."""

from collections.abc import Sequence

from ..settings import Settings

Headers = Sequence[tuple[bytes, bytes]]

# For an API whose answers are data: a browser that is tricked into showing one as a page may do nothing with it.
DEFAULTS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def headers(settings: Settings) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of every response as ASGI has them: the defaults, HSTS if asked for, and the service's own."""
    merged = dict(DEFAULTS)
    if settings.hsts_seconds:
        merged["strict-transport-security"] = f"max-age={settings.hsts_seconds}; includeSubDomains"
    merged |= {name.lower(): value for name, value in settings.response_headers.items()}
    return tuple((name.encode("ascii"), value.encode("latin-1")) for name, value in merged.items() if value)


class StaticHeaders:
    """Adds `pairs` to responses. A header that a response sets itself stays as it is."""

    def __init__(self, pairs: Headers) -> None:
        self._pairs = tuple(pairs)
        self._names = frozenset(name for name, _ in self._pairs)

    def added_to(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """A new list: `headers` and ours."""
        for name, _ in headers:
            if name in self._names:
                return self._merged(headers)
        return [*headers, *self._pairs]

    def _merged(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        own = {name for name, _ in headers}
        return [*headers, *(pair for pair in self._pairs if pair[0] not in own)]
