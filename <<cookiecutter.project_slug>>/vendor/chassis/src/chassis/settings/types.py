"""What a settings model says about one setting: its type, whether it is secret, what a text means for it."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from urllib.parse import unquote

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

SettingPath = tuple[str, ...]
"""Where a setting stands: ("port",), or ("cache", "url") for one of a nested model."""

SECRET_TYPES = (Secret, SecretBytes, SecretStr)
MASK = "***"
# What a secret is called, and what only a whole word of these tells: there are compasses, and cookie_domain is none.
TELLING = r"passw(?:or)?d|passphrase|secret|token|credential|(?:access|api|private|secret)[_-]?key"
TELLING_WORD = rf"{TELLING}|pass|authorization|cookie"
# A second net under SecretStr: what is called so is masked even where somebody typed it as str.
SECRET_NAME = re.compile(rf"{TELLING}|(?:^|[_.-])(?:{TELLING_WORD})s?$", re.IGNORECASE)
# Rather too much than too little: a password may hold @ and / where people forget to quote them.
PASSWORD_IN_URL = re.compile(r"([a-z][a-z0-9+.-]*://[^/@\s:]*:)(\S+)@", re.IGNORECASE)
SECRET_IN_QUERY = re.compile(rf"(?<=[?&;\s])([\w-]*(?:{TELLING})[\w-]*)=[^&\s]+", re.IGNORECASE)


class UnknownSettingError(LookupError):
    """No setting stands at `path`; in its place there are `candidates`."""

    def __init__(self, path: SettingPath, candidates: Collection[str]) -> None:
        super().__init__(".".join(path))
        self.path = path
        self.candidates = candidates


def setting_type(model: type[BaseModel], path: SettingPath) -> Any:
    """The annotation of the setting at `path`. Raises UnknownSettingError."""
    annotation: Any = model
    for depth, name in enumerate(path, start=1):
        if models := _models(annotation):
            found = [each.model_fields[name].annotation for each in models if name in each.model_fields]
            if not found:
                names = [name for each in models for name in each.model_fields]
                raise UnknownSettingError(path[:depth], names)
            annotation = found[0]
        elif tables := [each for each in alternatives(annotation) if _is(each, Mapping)]:
            annotation = (*get_args(tables[0]), Any, Any)[1]
        elif annotation is not Any:
            raise UnknownSettingError(path[:depth], [])
    return annotation


def text_value(text: str, annotation: Any) -> Any:
    """What `text`, from a variable or a file of its own, means for a setting of this type; pydantic does the rest.

    Lists are JSON when they begin with `[` and are split at commas otherwise; tables are JSON; an empty text is None
    for what may be None and is no text. All else stays as it was typed. Raises ValueError with what was expected.
    """
    kinds = list(alternatives(annotation))
    if any(_is(kind, str, bytes, *SECRET_TYPES) or kind is Any for kind in kinds):
        return text
    if any(_is(kind, Collection) and not _is(kind, Mapping) for kind in kinds):
        return _json(text, 'a JSON list such as ["a", "b"]') if text.lstrip().startswith("[") else _split(text)
    if any(_is(kind, BaseModel, Mapping) for kind in kinds) and text.lstrip().startswith("{"):
        return _json(text, 'a JSON object such as {"key": "value"}')
    return None if text == "" and NoneType in kinds else text


def holds_secret(annotation: Any) -> bool:
    """Whether any part of a setting of this type is secret."""
    return any(_is(part, *SECRET_TYPES) for part in _parts(annotation, set()))


def secret_values(value: object) -> Iterator[str]:
    """The text of every secret in `value`, a model of settings or a part of one: passwords in URLs are some."""
    if isinstance(value, str):
        for found in PASSWORD_IN_URL.finditer(value):
            yield from dict.fromkeys((found[2], unquote(found[2])))
    elif isinstance(value, SECRET_TYPES):
        revealed = value.get_secret_value()
        yield revealed.decode("utf-8", "replace") if isinstance(revealed, bytes) else str(revealed)
    elif isinstance(value, BaseModel):
        for part in vars(value).values():
            yield from secret_values(part)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from secret_values(part)
    elif isinstance(value, Collection) and not isinstance(value, bytes):
        for part in value:
            yield from secret_values(part)


def masked(text: str) -> str:
    """`text` without the secrets that its form tells of: passwords in URLs, what is called a secret in a query."""
    return SECRET_IN_QUERY.sub(rf"\1={MASK}", PASSWORD_IN_URL.sub(rf"\1{MASK}@", text))


def alternatives(annotation: Any) -> Iterator[Any]:
    """The members of a union, without what Annotated says of them; any other type alone."""
    annotation = getattr(annotation, "__value__", annotation)  # type X = ...
    if get_origin(annotation) is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in {Union, UnionType}:
        for member in get_args(annotation):
            yield from alternatives(member)
    else:
        yield annotation


def _parts(annotation: Any, seen: set[Any]) -> Iterator[Any]:
    for kind in alternatives(annotation):
        yield kind
        arguments = (
            [field.annotation for field in kind.model_fields.values()] if _is(kind, BaseModel) else get_args(kind)
        )
        if kind not in seen:
            seen.add(kind)
            for argument in arguments:
                yield from _parts(argument, seen)


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [kind for kind in alternatives(annotation) if _is(kind, BaseModel)]


def _is(annotation: Any, *types: type) -> bool:
    kind = get_origin(annotation) or annotation
    return isinstance(kind, type) and issubclass(kind, types)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text.strip() else []


def _json(text: str, expected: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f"should be {expected}, and is no valid JSON") from None  # its own text quotes the value
