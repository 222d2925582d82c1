"""What a task may return that JSON, a store or a log cannot take, and what it may raise."""

from __future__ import annotations

import asyncio
import random
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, PlainSerializer, RootModel, model_serializer

TOO_LARGE = "x" * 2_000_000


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def recurse(value: Any) -> str:
    return recurse(value)


def serialized_by(raised: BaseException) -> BaseModel:
    """A model whose serializer raises that."""

    class Odd(BaseModel):
        @model_serializer
        def serialized(self) -> str:
            raise raised

    return Odd()


class Deep(RootModel[Annotated[int, PlainSerializer(recurse)]]):
    pass


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no words")

    __str__ = __repr__

    def __getattr__(self, name: str) -> NoReturn:
        raise MemoryError(name)


def unkeepable() -> dict[str, Any]:
    """Results that cannot be kept, by what is wrong with them."""
    return {
        "no form": object(),
        "no words": Silent(),
        "a class": Silent,
        "a lone surrogate": "\ud800",
        "a surrogate for a key": {"\udfff": 1},
        "no UTF-8": b"\xff",
        "5,000 digits": 10**5000,
        "deeper than is read": nested(230),
        "deeper than is written": nested(100_000),
        "a circle": circle(),
        "an endless serializer": Deep(1),
        "a serializer that raises": serialized_by(LookupError("s\ne")),
        "a serializer that exits": serialized_by(SystemExit(3)),
        "a serializer that interrupts": serialized_by(KeyboardInterrupt()),
        "a serializer that cancels": serialized_by(asyncio.CancelledError()),
    }


LEAVES = [None, True, -1, 0.5, float("nan"), "a", b"b", 10**400, *unkeepable().values()]


def generated(choice: random.Random, depth: int = 3) -> Any:
    """Any value: some can be kept, some cannot."""
    if depth == 0 or choice.random() < 0.3:
        return choice.choice(LEAVES)
    some = [generated(choice, depth - 1) for _ in range(choice.randrange(3))]
    keys = [choice.choice(["a", 1, None, 1.5, "\ud800", (1, 2)]) for _ in some]
    return choice.choice([some, tuple(some), dict(zip(keys, some, strict=True))])


class UnshowableError(Exception):
    def __str__(self) -> str:
        raise RecursionError("no words")


class Nameless(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise AttributeError("no name")


class StrangeError(Exception, metaclass=Nameless):
    pass


class Own(BaseException):
    pass


def failures() -> dict[str, BaseException]:
    """What a task may end with, by what is odd about it."""
    return {
        "plain": ValueError("no"),
        "no words": UnshowableError(),
        "no name": StrangeError("x"),
        "a lone surrogate": ValueError("\ud800 \x00"),
        "many words": ValueError("word\n" * 100_000),
        "it exits": SystemExit(UnshowableError()),
        "it interrupts": KeyboardInterrupt(),
        "of no kind": Own("x"),
        "a generator's": GeneratorExit(),
        "cancelled by itself": asyncio.CancelledError(),
        "time is over": TimeoutError(),
        "no connection": ConnectionError("of the team's own"),
    }
