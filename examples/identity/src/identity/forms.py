"""The forms that OAuth clients send: application/x-www-form-urlencoded, each parameter once."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from .errors import refused

FORM = "application/x-www-form-urlencoded"
LARGEST = 16_384  # bytes
MOST = 20  # parameters


async def form(request: Request) -> dict[str, str]:
    """The parameters of a request. Raises GrantError: invalid_request."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise refused("invalid_request", f"The body should be of the type {FORM}.")
    body = await request.body()
    if len(body) > LARGEST:
        raise refused("invalid_request", f"The body has more than {LARGEST} bytes.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST)
    except ValueError:
        raise refused("invalid_request", "The body is no form in UTF-8.") from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise refused("invalid_request", "A parameter came twice.")
    if any("\0" in value for value in parameters.values()):  # which no database takes
        raise refused("invalid_request", "A parameter has a NUL in it.")
    return {name: value for name, value in parameters.items() if value}  # RFC 6749, 3.2: without a value, it is absent


def required(parameters: Mapping[str, str], name: str) -> str:
    """The parameter `name`. Raises GrantError: invalid_request."""
    try:
        return parameters[name]
    except KeyError:
        raise refused("invalid_request", f"The parameter {name} is missing.") from None


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI says of an operation that takes such a form."""
    return {"requestBody": {"required": True, "content": {FORM: {"schema": {"type": "object", **schema}}}}}
