"""What OpenAPI says of endpoints that ask for a token."""

from __future__ import annotations

from typing import Any

from chassis.http.errors import MEDIA_TYPE, ProblemError
from chassis.http.openapi import SCHEMAS, schema

from .bearer import SCHEME
from .errors import InsufficientScopeError, UnauthorizedError

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


def _secured(document: dict[str, Any]) -> list[dict[str, Any]]:
    operations = [operation for path in document.get("paths", {}).values() for operation in path.values()]
    return [each for each in operations if any(SCHEME in way for way in each.get("security", ()))]
