"""The yardstick: the rendered service's endpoint on FastAPI and nothing else."""

from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import BaseModel

app = FastAPI(telemetry={"tracing": False, "metrics": False})


class Greeting(BaseModel):
    message: str


@app.get("/api/v1/greeting")
async def greeting(name: Annotated[str, Query(min_length=1, max_length=100)] = "World") -> Greeting:
    return Greeting(message=f"Hello, {name}!")
