"""The errors in OpenAPI: what a client can get, as schemas and shared responses."""

from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from .errors import MEDIA_TYPE, UNTYPED, ProblemError, member_types, phrase

SCHEMAS = "#/components/schemas/"
FASTAPIS_OWN = SCHEMAS + "HTTPValidationError"


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    # Kinds of problems add members; a client ignores those that it does not know.
    model_config = ConfigDict(extra="allow", defer_build=True)

    type: Annotated[
        str, Field(description="Names the kind of problem.", json_schema_extra={"format": "uri-reference"})
    ] = UNTYPED
    title: Annotated[str, Field(description="The kind of problem, for people.")]
    status: Annotated[int, Field(ge=400, le=599, description="The HTTP status.")]
    detail: Annotated[str, Field(description="What happened this time.")]
    instance: Annotated[
        str, Field(description="The path that was asked for.", json_schema_extra={"format": "uri-reference"})
    ]
    request_id: Annotated[str | None, Field(description="Quote it when you ask about this answer.")]


class Fault(BaseModel, defer_build=True):
    """One place in a request that is wrong."""

    location: Annotated[str, Field(description="body, query, path, header or cookie.")]
    pointer: Annotated[str, Field(description="Where in it, as a JSON Pointer: #/items/0/price.")]
    detail: Annotated[str, Field(description="What is wrong there.")]
    code: Annotated[str, Field(description="The same for machines.")]


class InvalidRequest(Problem):
    """The request does not fit what is expected."""

    errors: list[Fault]


def problems(*kinds: type[ProblemError]) -> dict[int | str, dict[str, Any]]:
    """What `responses=` of an endpoint or router takes, so that OpenAPI shows these kinds of problems."""
    by_status: dict[int, list[type[ProblemError]]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    # The media type marks the response for `Api`: FastAPI puts every model under the endpoint's own.
    return {
        status: {
            "description": " · ".join(kind.title or phrase(status) for kind in those),
            "model": reduce(or_, map(schema, those)),
            "content": {MEDIA_TYPE: {}},
        }
        for status, those in by_status.items()
    }


_models: dict[type[ProblemError], Any] = {}


def schema(kind: type[ProblemError]) -> Any:
    """The model of one kind of problem, the same each time: two of one name would both get longer ones."""
    return _models.get(kind) or _models.setdefault(kind, _model(kind))


def _model(kind: type[ProblemError]) -> Any:
    constants: dict[str, Any] = {
        "status": (Literal[kind.status], kind.status),
        "type": (Literal[kind.type], kind.type),
        "title": (Literal[kind.title or phrase(kind.status)], ...),
    }
    members: dict[str, Any] = {name: (hint, ...) for name, hint in member_types(kind).items()}
    return create_model(kind.__name__, __base__=Problem, __doc__=kind.__doc__, **constants, **members)


def tell_of_problems(document: dict[str, Any]) -> None:
    """Have the OpenAPI `document` tell of problems where FastAPI's own tells of its validation errors."""
    for path in document.get("paths", {}).values():
        for operation in path.values():
            _tell(operation["responses"])
    components = document.setdefault("components", {})
    components["responses"] = {
        "Problem": _response("Something went wrong.", "Problem"),
        "InvalidRequest": _response("The request does not fit what is expected.", "InvalidRequest"),
    }
    _declare(components.setdefault("schemas", {}))


def _tell(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        content = response.get("content", {})
        if MEDIA_TYPE in content and "application/json" in content:
            content[MEDIA_TYPE] = content.pop("application/json")
        elif content.get("application/json", {}).get("schema", {}).get("$ref") == FASTAPIS_OWN:
            responses[status] = {"$ref": "#/components/responses/InvalidRequest"}
    for statuses in ("4XX", "5XX"):
        responses.setdefault(statuses, {"$ref": "#/components/responses/Problem"})


def _response(description: str, name: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMAS + name}}}}


def _declare(schemas: dict[str, Any]) -> None:
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for model in (Problem, InvalidRequest):
        declared = model.model_json_schema(ref_template=SCHEMAS + "{model}", mode="serialization")
        schemas.update(declared.pop("$defs", {}))
        schemas[model.__name__] = declared
