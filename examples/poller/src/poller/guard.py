"""What may be asked: which URLs, and which addresses behind their names."""

import re
import socket
from collections.abc import Collection
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import Any

from yarl import URL

MOST_BYTES = 2048
NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
SCHEMES = frozenset({"http", "https"})

# What `is_global` lets pass, in some version of Python or in all, and is no public server.
SPECIAL = [
    IPv4Network("168.63.129.16/32"),  # Azure's metadata
    IPv4Network("192.0.0.0/24"),  # protocol assignments; Oracle's metadata
    IPv4Network("192.88.99.0/24"),  # relays to IPv6
]
# Of IPv6 what is on the internet, and no wrapping of IPv4: not ::ffff:0:0/96 (mapped), not 64:ff9b::/96 (NAT64) …
UNICAST = IPv6Network("2000::/3")
WRAPPED = [
    IPv6Network("2001::/23"),  # Teredo, and protocol assignments
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation
]


class Error(StrEnum):
    """Why a URL has no status."""

    DNS = "dns"
    TLS = "tls"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    TOO_LARGE = "too_large"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    FORBIDDEN_ADDRESS = "forbidden_address"
    FORBIDDEN_PORT = "forbidden_port"
    INVALID_URL = "invalid_url"
    INVALID_RESPONSE = "invalid_response"


class RefusedError(Exception):
    """A URL that is not asked, or not asked any further."""

    def __init__(self, error: Error, text: str = "") -> None:
        super().__init__(text or error)
        self.error = error


class ForbiddenAddressError(OSError):
    """An address that is not on the public internet. Its text is always the same: of two, one is told."""


def parsed(text: str) -> URL:
    """`text` as a URL that may be asked, as far as it tells by itself. Raises RefusedError with a sentence."""
    if NOT_IN_URLS.search(text) or len(text.encode()) > MOST_BYTES:
        raise RefusedError(Error.INVALID_URL, f"A URL has no spaces and at most {MOST_BYTES:,} bytes")
    try:
        return allowed(URL(text))
    except ValueError:  # UnicodeError among them, of a host that is no domain name
        raise RefusedError(Error.INVALID_URL, "This is no URL") from None


def allowed(url: URL) -> URL:
    """`url` without its fragment. Raises RefusedError, and ValueError."""
    if url.scheme not in SCHEMES or not url.host or "%" in url.host:
        raise RefusedError(Error.INVALID_URL, "A URL such as https://example.com/path is expected")
    if url.user is not None or url.password is not None:
        raise RefusedError(Error.INVALID_URL, "A URL with a name or a password in it is not asked")
    return url.with_fragment(None)


def refuse_port(url: URL, ports: Collection[int]) -> None:
    """Raise RefusedError if `url` is not on one of `ports`; none given are all."""
    if ports and url.port not in ports:
        raise RefusedError(Error.FORBIDDEN_PORT)


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public internet's."""
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not any(address in network for network in SPECIAL)
    return address in UNICAST and not any(address in network for network in WRAPPED)


def public_socket(found: tuple[Any, ...]) -> socket.socket:
    """A socket for an address that a name was resolved to, as aiohttp's connector makes one before it connects to it.

    The last word before the connection: whatever the name, the resolver, the cache or the redirect. Raises
    ForbiddenAddressError.
    """
    family, kind, protocol, _, (host, *_) = found
    if not is_public(host):
        raise ForbiddenAddressError("not on the public internet")
    return socket.socket(family, kind, protocol)
