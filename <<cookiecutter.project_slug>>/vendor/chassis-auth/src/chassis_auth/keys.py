"""The keys that tokens are verified with: each with the algorithms that it may be used for, which no token changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from .settings import EVERYBODY_KNOWS, AuthSettings

USUAL = ("RS256", "ES256", "EdDSA")
MOST_TRIED = 8  # keys, for one token that does not say which


class Key(NamedTuple):
    """A key to verify with."""

    kid: str | None
    algorithms: frozenset[str]
    material: Any
    """A secret's bytes, or a public key of `cryptography`."""


class UnknownKeyError(LookupError):
    """No key fits what a token says of its signature."""


class NoKeysError(Exception):
    """There are no keys: their issuer has not answered yet, or not for too long."""


class KeySet:
    """Some keys, found by the name and the algorithm that a token gives. It does not change."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self.keys = tuple(keys)
        self._by_name: dict[str, list[Key]] = {}
        for key in self.keys:
            if key.kid is not None:
                self._by_name.setdefault(key.kid, []).append(key)

    def find(self, kid: str | None, algorithm: str) -> Sequence[Key]:
        """The keys that may have signed, at most eight. Raises UnknownKeyError if there are none.

        A key without a name fits any name: PEM files and secrets have none that the issuer knows of.
        """
        named = self._by_name.get(kid, []) if kid is not None else self.keys
        if not named:
            named = [key for key in self.keys if key.kid is None]
        found = [key for key in named if algorithm in key.algorithms]
        if not found:
            raise UnknownKeyError(algorithm)
        return found[:MOST_TRIED]


class Keys(Protocol):
    """Where keys come from."""

    def at_hand(self) -> KeySet:
        """The keys, without waiting. Raises NoKeysError."""
        ...

    async def newest(self) -> KeySet:
        """The keys, fetched again where that may be, because a token named one that is not among them.

        Raises NoKeysError.
        """
        ...


class SetKeys:
    """Keys from the settings."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = KeySet(keys)

    def at_hand(self) -> KeySet:
        return self._keys

    async def newest(self) -> KeySet:
        return self._keys


def set_keys(settings: AuthSettings) -> SetKeys:
    """The keys that stand in the settings; without any, the one for development."""
    if settings.auth_public_key or settings.auth_private_key:
        return SetKeys(public_keys(settings))
    allowed = frozenset(settings.auth_algorithms or ("HS256",))
    return SetKeys(Key(None, allowed, secret.encode()) for secret in secrets(settings))


def secrets(settings: AuthSettings) -> list[str]:
    """The shared secrets, the one to sign with first."""
    given = [settings.auth_secret, settings.auth_previous_secret]
    return [secret.get_secret_value() for secret in given if secret] or [EVERYBODY_KNOWS]


def public_keys(settings: AuthSettings) -> Iterable[Key]:
    """The public keys that stand in the settings, that of the private key first."""
    from . import pem

    keys = pem.public_keys(settings.auth_public_key) if settings.auth_public_key else []
    if settings.auth_private_key:
        keys.insert(0, pem.private_key(settings.auth_private_key.get_secret_value()).public_key())
    for key in keys:
        yield Key(None, allowed_for(pem.kind(key), settings), key)


def allowed_for(kind: str, settings: AuthSettings) -> frozenset[str]:
    """The algorithms that a key of this kind may be used for."""
    from .pem import BY_KIND

    return frozenset(settings.auth_algorithms or USUAL) & frozenset(BY_KIND[kind])


def from_jwks(document: object, settings: AuthSettings, *, most: int) -> KeySet:
    """The keys for signatures in a JWKS, at most `most`. Others are left out: what they are for is not known here.

    Raises ValueError if it has none.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("no JSON object with a list `keys`")
    found = [key for entry in entries[:most] if (key := _from_jwk(entry, settings))]
    if not found:
        raise ValueError("no key for signatures among its keys")
    return KeySet(found)


def _from_jwk(entry: object, settings: AuthSettings) -> Key | None:
    from jwt import PyJWK
    from jwt.exceptions import PyJWTError

    from . import pem

    if not isinstance(entry, dict) or not _is_for_verifying(entry):
        return None
    try:
        material = PyJWK(entry, algorithm=pem.BY_KIND[entry["kty"]][0]).key
        pem.check(material)
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return None
    allowed = allowed_for(entry["kty"], settings)
    if "alg" in entry:
        allowed &= {entry["alg"]} if isinstance(entry["alg"], str) else frozenset()
    kid = entry.get("kid")
    return Key(kid if isinstance(kid, str) else None, allowed, material) if allowed else None


def _is_for_verifying(entry: Mapping[str, Any]) -> bool:
    # "d": a private key that lies open signs nothing that could be believed; "oct": so does a shared secret.
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("kty") in ("RSA", "EC", "OKP")
        and "d" not in entry
        and entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )
