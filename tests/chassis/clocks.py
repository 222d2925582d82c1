"""Endpoints that ask for dependencies of all kinds."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute


async def clock() -> str:
    return "real"


async def watch(clock: Annotated[str, Depends(clock)]) -> str:
    return f"watch of {clock}"


class Machine:
    """A dependency that is a class, and asks for another."""

    def __init__(self, clock: Annotated[str, Depends(clock)]) -> None:
        self.says = f"machine of {clock}"


async def stamped(response: Response, clock: Annotated[str, Depends(clock)]) -> None:
    response.headers["x-clock"] = clock


async def leased() -> AsyncIterator[str]:
    yield "real lease"


class Slower(APIRoute):
    """A route class of a team's."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handler = super().get_route_handler()

        async def slower(request: Request) -> Any:
            response = await handler(request)
            response.headers["x-slower"] = "yes"
            return response

        return slower


def endpoints(**options: Any) -> APIRouter:
    router = APIRouter(dependencies=[Depends(stamped)], **options)

    @router.get("/clock")
    async def direct(clock: Annotated[str, Depends(clock)]) -> str:
        return clock

    @router.get("/watch")
    async def sub(watch: Annotated[str, Depends(watch)]) -> str:
        return watch

    @router.get("/machine")
    async def of_a_class(machine: Annotated[Machine, Depends()]) -> str:
        return machine.says

    @router.get("/lease")
    async def of_a_generator(lease: Annotated[str, Depends(leased)]) -> str:
        return lease

    @router.get("/request")
    def of_a_request(request: Request) -> str:
        return request.url.path

    return router
