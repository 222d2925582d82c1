"""Keys as PEM, and what each is good for."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
    PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
LEAST_BITS, MOST_BITS = 2048, 8192  # of RSA; a larger key takes milliseconds a token
BY_KIND = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256",),
    "OKP": ("EdDSA",),
}
"""The algorithms that a kind of key (the kty of its JWK) can be used for, the usual one first."""


def public_keys(pem: str) -> list[PublicKey]:
    """The public keys in `pem`, one after the other. Raises ValueError with what is wrong, without quoting it."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    blocks = list(BLOCK.finditer(pem))
    if wrong := next((block[1] for block in blocks if not block[1].endswith("PUBLIC KEY")), None):
        raise ValueError(f"is a PEM of a {wrong}. `openssl pkey -in key.pem -pubout` prints the public key of a key")
    if not blocks:
        raise ValueError('should be a public key as PEM, with the lines "-----BEGIN PUBLIC KEY-----" and so on')
    return [check(_loaded(load_pem_public_key, block[0])) for block in blocks]


@lru_cache(maxsize=2)  # reading an RSA key takes 65 ms, for checks that one time is enough for
def private_key(pem: str) -> PrivateKey:
    """The private key in `pem`. Raises ValueError with what is wrong, without quoting it."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    def load(data: bytes) -> Any:
        return load_pem_private_key(data, password=None)

    key = _loaded(load, pem)
    check(key.public_key())
    return key  # type: ignore[no-any-return]


def _loaded(load: Any, pem: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return load(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted
        raise ValueError("should be a key as PEM without a passphrase, and cannot be read as one") from None


def check(key: Any) -> PublicKey:
    """`key`, if it is a public key that is used for tokens here. Raises ValueError."""
    kind(key)
    if not LEAST_BITS <= getattr(key, "key_size", LEAST_BITS) <= MOST_BITS and kind(key) == "RSA":
        raise ValueError(f"has {key.key_size} bits, and an RSA key should have {LEAST_BITS} to {MOST_BITS}")
    return key  # type: ignore[no-any-return]


def kind(key: Any) -> str:
    """The kind of a public key: RSA, EC or OKP. Raises ValueError for one that is not used for tokens here."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, rsa.RSAPublicKey):
        return "RSA"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "EC"
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "OKP"
    raise ValueError("should be a key of RSA, P-256 or Ed25519")


def jwk(key: Any) -> dict[str, str]:
    """A public key as the members of a JWK that say which key it is (RFC 7638, 3.2)."""
    from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

    converters: dict[str, Any] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}
    members = converters[kind(key)].to_jwk(key, as_dict=True)
    return {name: members[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in members}


def thumbprint(key: Any) -> str:
    """The name of a public key: the hash of its JWK (RFC 7638), which is the same wherever the key is."""
    text = json.dumps(jwk(key), sort_keys=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
