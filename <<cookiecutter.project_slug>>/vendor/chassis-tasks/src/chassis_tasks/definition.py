"""A task as the team defines it: a function, and what is to be done around it."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Generic, ParamSpec, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model

Params = ParamSpec("Params")
Result = TypeVar("Result")
Function = Callable[Params, Coroutine[Any, Any, Result]]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What is done around a task. None means: what the settings say."""

    retries: int | None = None
    timeout: float | None = None
    deadline: float | None = None
    give_up_on: tuple[type[Exception], ...] = ()
    cron: str = ""
    every: float = 0


@dataclass(frozen=True, kw_only=True)
class Options:
    """How one task is to be sent. Times are in seconds."""

    delay: float = 0
    deadline: float | None = None
    key: str = ""
    key_seconds: float = 0
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Sent:
    """What became of a call of `enqueue`."""

    id: str
    """Of the task: what `tasks.find` and `tasks.cancel` take."""
    is_new: bool = True
    """False if the key was taken: then nothing was sent, and `id` is that of the task that has it."""


class Task(Generic[Params, Result]):
    """A function that can be called later and elsewhere. `await task(...)` calls it here and now."""

    def __init__(self, send: Send, function: Function[Params, Result], name: str, policy: Policy) -> None:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(
                f"The task {name} is no `async def`. Make it one, and call what blocks by asyncio.to_thread(...)."
            )
        self._send = send
        self.function = function
        self.name = name
        self.policy = policy
        self._signature = inspect.signature(function)
        self._result = TypeAdapter(get_type_hints(function).get("return", Any))
        self._arguments = arguments_of(function, name)
        self.__doc__ = function.__doc__
        self.__name__ = name

    @property
    def parameters(self) -> str:
        """As they stand in the function: `(url: str, times: int = 1)`."""
        return str(self._signature.replace(return_annotation=inspect.Signature.empty))

    @property
    def required(self) -> list[str]:
        """The parameters without a default."""
        return [one.name for one in self._signature.parameters.values() if one.default is one.empty]

    async def __call__(self, *args: Params.args, **kwargs: Params.kwargs) -> Result:
        return await self.function(*args, **kwargs)

    async def enqueue(self, *args: Params.args, **kwargs: Params.kwargs) -> Sent:
        """Have the function called with these arguments, by whoever works on tasks.

        Raises TasksUnavailableError, a 503 to a client, if they cannot be handed over.
        """
        return await self._send(self, Options(), self.packed(*args, **kwargs))

    def using(
        self, *, delay: float = 0, deadline: float | None = None, key: str = "", key_seconds: float = 0
    ) -> Sending[Params, Result]:
        """The same with options: `await task.using(delay=60).enqueue(...)`. Times are in seconds.

        :param delay: how long to wait before it is worked on.
        :param deadline: after how long it must not be started any more; counts from now, delay and retries included.
        :param key: while a task of this name and key is queued or runs, no second one is sent.
        :param key_seconds: and for so long after its end.
        """
        options = Options(delay=delay, deadline=deadline, key=key, key_seconds=key_seconds)
        return Sending(self, self._send, options)

    def packed(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The arguments by name, as JSON has them. Raises TypeError or ValidationError if they do not fit."""
        bound = self._signature.bind(*args, **kwargs)
        model = self._arguments.model_validate(bound.arguments)
        return model.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def unpacked(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments as the function takes them. Raises ValidationError if they do not fit."""
        model = self._arguments.model_validate(arguments)
        names = [*type(model).model_fields]
        return {name.removeprefix(PREFIX): getattr(model, name) for name in names if name in model.model_fields_set}

    def packed_result(self, result: object) -> Any:
        """What the function returned, as JSON has it. Raises ValueError if that has no form for it."""
        return self._result.dump_python(result, mode="json", warnings="none")

    def __repr__(self) -> str:
        return f"<task {self.name}>"


class Sending(Generic[Params, Result]):
    """A task with the options that it is sent with."""

    def __init__(self, task: Task[Params, Result], send: Send, options: Options) -> None:
        self._task, self._send, self._options = task, send, options

    async def enqueue(self, *args: Params.args, **kwargs: Params.kwargs) -> Sent:
        """As `Task.enqueue`."""
        options = replace(self._options, id=uuid.uuid4().hex)  # it may be used twice
        return await self._send(self._task, options, self._task.packed(*args, **kwargs))


Send = Callable[[Task[..., Any], Options, dict[str, Any]], Awaitable[Sent]]
"""Sends a task with these options and arguments."""

PREFIX = "of_"  # a parameter may be called `model_config` or `_private`, which a field may not


def arguments_of(function: Callable[..., Any], name: str) -> type[BaseModel]:
    """A model of the parameters of `function`. Raises TypeError for what cannot travel by name."""
    hints, fields = get_type_hints(function, include_extras=True), {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise TypeError(f"The task {name} takes {parameter}. Arguments travel by name: give each parameter one.")
        default = ... if parameter.default is parameter.empty else parameter.default
        kind: Any = hints.get(parameter.name, Any)
        fields[PREFIX + parameter.name] = (kind, Field(default, alias=parameter.name))
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=False, ser_json_inf_nan="constants")
    made: type[BaseModel] = create_model(f"Arguments of {name}", __config__=config, **fields)  # type: ignore[call-overload]
    return made
