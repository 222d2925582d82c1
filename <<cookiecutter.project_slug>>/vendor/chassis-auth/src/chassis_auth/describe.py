"""What OpenAPI says of endpoints that ask for a token."""

from __future__ import annotations

from typing import Any

from chassis.http.errors import MEDIA_TYPE, ProblemError
from chassis.http.openapi import SCHEMAS, schema

from .caller import SCHEME
from .errors import InsufficientScopeError, UnauthorizedError

LOGIN = "login"
TOKEN_URL = "auth/token"  # noqa: S105 - relative, because a proxy may have put a prefix before it

TOLD: dict[str, tuple[type[ProblemError], str]] = {
    "401": (UnauthorizedError, "No valid token came with the request; WWW-Authenticate says what is wrong with it."),
    "403": (InsufficientScopeError, "The token does not allow this."),
}
CHALLENGE = {"description": "What is wrong, as RFC 6750 says it.", "schema": {"type": "string"}}


def tell_of_refusals(document: dict[str, Any]) -> None:
    """Give every operation that asks for a token the answers to those without a good one, where it has none."""
    secured = _secured(document)
    if not secured:
        return
    components = document.setdefault("components", {})
    for status, (kind, text) in TOLD.items():
        name = kind.__name__
        components.setdefault("schemas", {})[name] = schema(kind).model_json_schema(mode="serialization")
        components.setdefault("responses", {})[name] = {
            "description": text,
            "headers": {"WWW-Authenticate": CHALLENGE},
            "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMAS + name}}},
        }
        for operation in secured:
            operation["responses"].setdefault(status, {"$ref": f"#/components/responses/{name}"})


def tell_of_login(document: dict[str, Any]) -> None:
    """Let people log in on the docs page: the password flow, beside a token that they have already."""
    scopes: set[str] = set()
    for operation in _secured(document):
        asked = next(each[SCHEME] for each in operation["security"] if SCHEME in each)
        scopes.update(asked)
        operation["security"].append({LOGIN: asked})
    flow = {"tokenUrl": TOKEN_URL, "refreshUrl": TOKEN_URL, "scopes": dict.fromkeys(sorted(scopes), "")}
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes[LOGIN] = {"type": "oauth2", "flows": {"password": flow}}


def _secured(document: dict[str, Any]) -> list[dict[str, Any]]:
    operations = [operation for path in document.get("paths", {}).values() for operation in path.values()]
    return [each for each in operations if any(SCHEME in way for way in each.get("security", ()))]
