"""Tokens and keys, good and bad ones, for tests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from chassis import Service, Settings
from chassis_auth import Auth
from chassis_auth.settings import EVERYBODY_KNOWS

AnyKey = Any


@cache
def rsa_key(name: str = "") -> AnyKey:
    """An RSA key, the same one for the same name."""
    return rsa.generate_private_key(65537, 2048)


@cache
def ec_key(name: str = "") -> AnyKey:
    """A key of P-256."""
    return ec.generate_private_key(ec.SECP256R1())


@cache
def ed_key(name: str = "") -> AnyKey:
    """A key of Ed25519."""
    return ed25519.Ed25519PrivateKey.generate()


KEYS = {"RS256": rsa_key, "ES256": ec_key, "EdDSA": ed_key}


def private_pem(key: AnyKey) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def public_pem(key: AnyKey) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def settings(**values: Any) -> Settings:
    """The settings of a service with the capability."""
    service = Service(package="under_test", parts={"auth": Auth()})
    return service.settings(name="under-test", environment="test", **values)


def claims(**changed: Any) -> dict[str, Any]:
    """What a good token says, with some of it `changed`; None takes a claim away."""
    now = time.time()
    good = {"iss": "under-test", "aud": "under-test", "sub": "ada", "iat": now, "exp": now + 600}
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def good(algorithm: str = "HS256", key: AnyKey = EVERYBODY_KNOWS, **changed: Any) -> str:
    """A token that is signed well, with some claims changed."""
    return jwt.encode(claims(**changed), key, algorithm=algorithm)


def b64(data: bytes | str) -> str:
    data = data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def hmac_signed(header: dict[str, Any] | str, payload: dict[str, Any] | str, secret: bytes) -> str:
    """A token with whatever header and payload, and the right HMAC for `secret`."""
    texts = [part if isinstance(part, str) else json.dumps(part) for part in (header, payload)]
    signed = ".".join(map(b64, texts))
    return f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def with_header(header: dict[str, Any], **changed: Any) -> str:
    """A token that is signed with the development's secret, and has `header`."""
    return hmac_signed({"alg": "HS256", "typ": "JWT", **header}, claims(**changed), EVERYBODY_KNOWS.encode())
