"""The service's endpoints."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from .settings import Settings

router = APIRouter(prefix="/api/v1")


class Greeting(BaseModel):
    message: str


@router.get("/greeting")
async def greeting(request: Request, name: Annotated[str, Query(min_length=1, max_length=100)] = "World") -> Greeting:
    """Greet somebody by name."""
    settings: Settings = request.state.settings
    return Greeting(message=f"{settings.greeting}, {name}!")
