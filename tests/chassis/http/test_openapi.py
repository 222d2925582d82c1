from collections.abc import Callable
from typing import Any

import pydantic
import pytest
from fastapi import APIRouter
from starlette.testclient import TestClient

from chassis import ProblemError, problems

Serve = Callable[..., TestClient]
PROBLEM = "application/problem+json"


class Shelf(pydantic.BaseModel):
    number: int


class OutOfStockError(ProblemError):
    """Somebody was faster."""

    status = 409
    title = "Out of stock"
    type = "/problems/out-of-stock"
    shelf: Shelf


class ReservedError(ProblemError):
    status = 409
    title = "Reserved"


class NotForYouError(ProblemError):
    status = 403


router = APIRouter(responses=problems(NotForYouError))


@router.get("/orders/{number}", responses=problems(OutOfStockError, ReservedError))
async def order(number: int) -> int:
    return number


@router.get("/plain")
async def plain() -> int:
    return 1


@pytest.fixture
def document(serve: Serve) -> dict[str, Any]:
    client = serve(router)
    assert client.get("/openapi.json").json() == client.get("/openapi.json").json()
    document: dict[str, Any] = client.get("/openapi.json").json()
    return document


def test_every_operation_tells_of_problems(document: dict[str, Any]) -> None:
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["responses"]["4XX"] == operation["responses"]["5XX"]
            assert operation["responses"]["4XX"] == {"$ref": "#/components/responses/Problem"}


def test_an_invalid_request_is_told_of_where_there_can_be_one(document: dict[str, Any]) -> None:
    invalid = {"$ref": "#/components/responses/InvalidRequest"}
    assert document["paths"]["/orders/{number}"]["get"]["responses"]["422"] == invalid
    assert "422" not in document["paths"]["/plain"]["get"]["responses"]
    shared = document["components"]["responses"]["InvalidRequest"]
    assert shared["content"] == {PROBLEM: {"schema": {"$ref": "#/components/schemas/InvalidRequest"}}}


def test_nothing_of_fastapis_own_errors_is_left(document: dict[str, Any]) -> None:
    assert "ValidationError" not in str(document)


def test_a_teams_own_errors_stand_there(document: dict[str, Any]) -> None:
    responses = document["paths"]["/orders/{number}"]["get"]["responses"]
    assert responses["409"]["description"] == "Out of stock · Reserved"
    (media_type,) = responses["409"]["content"]
    assert media_type == PROBLEM
    schemas = [ref["$ref"].rpartition("/")[2] for ref in responses["409"]["content"][PROBLEM]["schema"]["anyOf"]]
    assert schemas == ["OutOfStockError", "ReservedError"]
    model = document["components"]["schemas"]["OutOfStockError"]
    assert model["description"] == "Somebody was faster."
    assert model["properties"]["status"]["const"] == 409
    assert model["properties"]["type"]["const"] == "/problems/out-of-stock"
    assert model["properties"]["shelf"] == {"$ref": "#/components/schemas/Shelf"}
    assert {"shelf", "title", "request_id"} <= set(model["required"])


def test_a_routers_errors_stand_at_its_endpoints(document: dict[str, Any]) -> None:
    for path in ("/orders/{number}", "/plain"):
        content = document["paths"][path]["get"]["responses"]["403"]["content"]
        assert content == {PROBLEM: {"schema": {"$ref": "#/components/schemas/NotForYouError"}}}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: object) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [ref for value in node.values() for ref in references(value)]
        return [ref for value in node for ref in references(value)] if isinstance(node, list) else []

    for reference in references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_the_same_errors_in_two_endpoints_are_one_schema() -> None:
    assert problems(OutOfStockError)[409]["model"] is problems(OutOfStockError)[409]["model"]
