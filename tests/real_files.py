"""Files that people wrote, from pinned source distributions, and what must hold for each."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import sdists
from twelvefold.strategies.merging import Format, UnreadableError, merge_texts
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.three_way import merge, same

PINNED = [
    "attrs==25.1.0",
    "mkdocs==1.6.1",
    "pre_commit==4.1.0",
    "schemathesis==3.39.9",
    "starlette==0.45.3",
    "structlog==25.1.0",
]


def real_files(*patterns: str) -> dict[str, str]:
    """The texts of the pinned distributions' files whose path fits a pattern, by path; long ones take too long."""
    return {path: text for path, text in sdists.texts(*patterns, pins=PINNED) if len(text) < 20_000}


def check_real(form: Format, name: str, text: str, rules: Rules) -> None:
    """A file is itself; mutated by template and team it becomes what the data say; what comes goes without a trace."""
    try:
        data = form.load(text)
    except UnreadableError:
        return
    assert form.conform(text, data, [text], rules) == text
    for seed in range(3):
        chance = random.Random(f"{name} {seed}")  # noqa: S311
        template, service = (form.conform(text, mutated(data, chance, who), [], rules) for who in ("new", "own"))
        wanted, decisions = merge(data, form.load(template), form.load(service), rules)
        merged = merge_texts(form, text, template, service, rules)
        if service not in (text, template):
            assert (name, list(merged.decisions)) == (name, decisions)
            assert same(form.load(merged.text), wanted), name
        fewer = without_one(data, chance)
        less = form.conform(text, fewer, [], rules)
        back = form.conform(less, data, [text, less], rules)
        assert form.conform(back, fewer, [less, text], rules) == less, name


def collections(data: Any) -> Iterator[Any]:
    """All mappings and lists in `data`."""
    if isinstance(data, dict | list):
        yield data
        for value in data.values() if isinstance(data, dict) else data:
            yield from collections(value)


def without_one(data: Any, chance: random.Random) -> Any:
    """A copy of `data` without one key or member that has siblings."""
    data = copy.deepcopy(data)
    larger = [one for one in collections(data) if len(one) > 1]
    if larger:
        one = chance.choice(larger)
        del one[chance.choice(list(one) if isinstance(one, dict) else range(len(one)))]
    return data


def mutated(data: Any, chance: random.Random, who: str) -> Any:
    """A copy of `data` with something added, removed or changed."""
    data = copy.deepcopy(data)
    for _ in range(chance.randint(1, 3)):
        one = chance.choice([one for one in collections(data) if one] or [data])
        keys: Any = list(one) if isinstance(one, dict) else range(len(one))
        value = chance.choice([who, {who: ["a b", "3.10"]}, [{"id": who}], True])
        if keys and chance.random() < 0.4:
            one[chance.choice(keys)] = value
        elif isinstance(one, dict):
            one[f"{who}-{chance.randint(0, 9)}"] = value
        else:
            one.insert(chance.randint(0, len(one)), value)
    return data
