"""Says in words what the settings are and what is wrong with them; never a secret's value."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, Secret, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from .layers import Given, origin, variable
from .types import MASK, SECRET_NAME, SettingPath, UnknownSettingError, alternatives, holds_secret, masked, setting_type

# What people put where a secret is to come, and forget; compared without spaces, hyphens, underscores and case.
PLACEHOLDERS = re.compile(
    "|change(it|me|this)?|default|dummy|example|insecure|placeholder|password|replaceme|secret|todo|x+|\\*+|<.*>"
)


class Shown(NamedTuple):
    """A setting as people may see it."""

    path: SettingPath
    value: Any
    """Ready for JSON, masked."""
    layer: str
    name: str


def shown(settings: BaseModel, given: Sequence[Given]) -> list[Shown]:
    """Every setting with the layer that set it, "default" where none did; secrets masked."""
    dumped = settings.model_dump(mode="json", fallback=str)
    rows = []
    for path, value, field in _fields(settings, ()):
        setter = set_by(path, given)
        text = dumped
        for key in path:
            text = text.get(key, MASK) if isinstance(text, dict) else MASK
        secret = holds_secret(field.annotation) or (isinstance(value, str) and SECRET_NAME.search(path[-1]))
        masked = _mask(text) if not secret or value in (None, "") else MASK
        rows.append(Shown(path, masked, setter.layer if setter else "default", setter.name if setter else ""))
    return rows


def set_by(path: SettingPath, given: Sequence[Given]) -> Given | None:
    """What set the setting at `path`, or a part of it; None if it is at its default."""
    return next((each for each in reversed(given) if path[: len(each.path)] == each.path[: len(path)]), None)


def invalid(error: ValidationError, model: type[BaseModel], given: Sequence[Given]) -> list[str]:
    """A sentence for each setting that is wrong: what set it, what was expected, an example."""
    wrong: dict[SettingPath, list[Any]] = {}
    for details in error.errors(include_url=False):
        wrong.setdefault(_known(model, details["loc"]), []).append(details)
    return [_sentence(model, path, details, given) for path, details in wrong.items()]


def left_at_default(
    settings: BaseModel | None, model: type[BaseModel], given: Sequence[Given], *, environment: str
) -> Iterator[str]:
    """A sentence for each secret that everybody knows, where that matters. None for settings that are no valid ones."""
    if environment in {"development", "test"}:
        return
    known = _secrets_given(model, given) if settings is None else _secrets_of(settings)
    for path, secret, default in known:
        setter = set_by(path, given)
        if setter is None or secret == default or _is_placeholder(secret):
            where = f", set by {origin(setter.layer, setter.name)}," if setter else ""
            yield (
                f"{'.'.join(path)} ({variable(path)}){where} is a secret that is left at its default, a placeholder "
                f"or empty, and this is {environment}. {_how_to_set_secret(path)}"
            )


def _secrets_of(settings: BaseModel) -> Iterator[tuple[SettingPath, object, object]]:
    for path, value, field in _fields(settings, ()):
        if isinstance(value, SecretStr | SecretBytes | Secret):
            yield path, value.get_secret_value(), _default(field)


def _secrets_given(model: type[BaseModel], given: Sequence[Given]) -> Iterator[tuple[SettingPath, object, object]]:
    for path, field in _leaf_fields(model, ()):
        setter, default = set_by(path, given), _default(field)
        if holds_secret(field.annotation) and (setter or (len(path) == 1 and default is not None)):
            yield path, setter.value if setter else default, default


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr | SecretBytes | Secret) else value


def _default(field: FieldInfo) -> object:
    return None if field.is_required() else _plain(field.get_default())


def example_lines(model: type[BaseModel]) -> list[str]:
    """Every setting of `model` as .env.example shows it: what it is, and a line to uncomment."""
    lines = []
    for path, field in _leaf_fields(model, ()):
        lines += [f"# {field.description}"] if field.description else []
        lines += [f"#{variable(path)}={'' if _is_secret(path, field.annotation) else _example(path, field)}"]
    return lines


def _fields(model: BaseModel, at: SettingPath) -> Iterator[tuple[SettingPath, Any, FieldInfo]]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _fields(value, (*at, name))
        else:
            yield (*at, name), value, field


def _leaf_fields(model: type[BaseModel], at: SettingPath) -> Iterator[tuple[SettingPath, FieldInfo]]:
    for name, field in model.model_fields.items():
        models = [
            kind for kind in alternatives(field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        if models and models[0] is not model:
            yield from _leaf_fields(models[0], (*at, name))
        else:
            yield (*at, name), field


def _sentence(model: type[BaseModel], path: SettingPath, details: Sequence[Any], given: Sequence[Given]) -> str:
    expected = _expected(details, _secret_texts(model, given))
    if not path:
        return f"The settings together: {expected}."
    field, secret = _field(model, path), _is_secret(path, setting_type(model, path))
    who, setter = f"{'.'.join(path)} ({variable(path)})", set_by(path, given)
    if details[0]["type"] == "missing":
        return f"{who} is not set. {_how_to_set_secret(path) if secret else _how_to_set(path, field)}"
    where = origin(setter.layer, setter.name) if setter else "its default"
    got = "" if secret or setter is None else f", not {_short(details[0]['input'])}"
    return f"{who}, set by {where}: {expected}{got}. Example: {_written(path, _example(path, field), setter)}"


def _expected(details: Iterable[Any], secrets: Iterable[str]) -> str:
    texts = [each["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ") for each in details]
    texts = [text.replace("Input should", "should").rstrip(".") for text in texts]
    expected = " or ".join(dict.fromkeys(text[:1].lower() + text[1:] for text in texts))
    for secret in secrets:  # a validator of the team's may have quoted it
        expected = expected.replace(secret, MASK)
    return expected


def _secret_texts(model: type[BaseModel], given: Sequence[Given]) -> list[str]:
    secrets = [each.value for each in given if _is_secret(each.path, setting_type(model, each.path))]
    return sorted({text for secret in secrets for text in _texts(secret) if text}, key=len, reverse=True)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
    else:
        yield str(value)


def _how_to_set(path: SettingPath, field: FieldInfo | None) -> str:
    named = f"{variable(path)} in the environment, such as {variable(path)}={_example(path, field)}"
    return f"Set it in config/settings.toml, or {named}."


def _how_to_set_secret(path: SettingPath) -> str:
    name = variable(path)
    return f"Set {name} or {name}_FILE, or a file {'__'.join(path)} in the secrets directory, or config/.secrets.toml."


def _written(path: SettingPath, example: str, setter: Given | None) -> str:
    if setter is None or not setter.layer.endswith(".toml"):
        return f"{variable(path)}={example}"
    bare = re.fullmatch(r"true|false|-?\d+(\.\d+)?|\[.*\]", example)
    return f"{'.'.join(path)} = {example if bare else json.dumps(example, ensure_ascii=False)}"


def _example(path: SettingPath, field: FieldInfo | None) -> str:
    """A value as it can stand in the environment: the field's first example, its default, or one of its type."""
    if field is None or _is_secret(path, field.annotation):
        return MASK
    value = field.examples[0] if field.examples else _default(field)
    if value is None:
        return next(filter(None, map(_typical, alternatives(field.annotation))), "")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return json.dumps(value if isinstance(value, Mapping) else list(value), default=str)
    return str(value.value if isinstance(value, Enum) else value)


def _typical(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return str(get_args(kind)[0])
    named = {bool: "true", int: "1", float: "0.5", list: "a,b", tuple: "a,b", set: "a,b", dict: '{"key": "value"}'}
    return named.get(get_origin(kind) or kind, "")


def _known(model: type[BaseModel], location: Sequence[int | str]) -> SettingPath:
    """As much of pydantic's location as is a setting: it goes on into lists, and names members of unions."""
    path: SettingPath = ()
    for part in location:
        try:
            setting_type(model, (*path, str(part)))
        except UnknownSettingError:
            break
        path = (*path, str(part))
    return path


def _field(model: type[BaseModel], path: SettingPath) -> FieldInfo | None:
    return next((field for leaf, field in _leaf_fields(model, ()) if leaf == path), None)


def _is_secret(path: SettingPath, annotation: Any) -> bool:
    return holds_secret(annotation) or any(
        SECRET_NAME.search(part) and str in alternatives(annotation) for part in path
    )


def _is_placeholder(secret: object) -> bool:
    text = secret.decode(errors="replace") if isinstance(secret, bytes) else str(secret)
    return PLACEHOLDERS.fullmatch(re.sub(r"[\s_-]", "", text).lower()) is not None


def _short(value: object) -> str:
    text = repr(_mask(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _mask(value: Any) -> Any:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {
            key: MASK if SECRET_NAME.search(key) and isinstance(inner, str) else _mask(inner)
            for key, inner in value.items()
        }
    return [_mask(inner) for inner in value] if isinstance(value, list) else value
