"""TOML: what holds for every text, and for the pyproject.toml files of other projects."""

from __future__ import annotations

import copy
import datetime
import random
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sdists
from twelvefold.strategies.merging import UnreadableError, merge_texts
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.three_way import merge, same
from twelvefold.strategies.toml import FORMAT

RULES = Rules.load(
    {
        "project.dependencies": {"members": "requirement"},
        "project.optional-dependencies.*": {"members": "requirement"},
        "dependency-groups.*": {"members": "requirement"},
        "build-system.requires": {"members": "requirement"},
        "tool.mypy.overrides": {"members": ["module"]},
        "a.l": {"members": "value"},
        "o": {"members": ["n"]},
    }
)
PROJECTS = """
anyio==4.7.0 attrs==24.3.0 black==24.10.0 blinker==1.9.0 cachetools==5.5.0 click==8.1.8 coverage==7.6.10
exceptiongroup==1.2.2 filelock==3.16.1 flask==3.1.0 flit-core==3.10.1 h11==0.14.0 hatch==1.14.0 hatchling==1.27.0
httpcore==1.0.7 httpx==0.28.1 idna==3.10 iniconfig==2.0.0 itsdangerous==2.2.0 jinja2==3.1.5
jsonschema==4.23.0 markdown-it-py==3.0.0 mypy==1.14.0 packaging==24.2 pathspec==0.12.1 platformdirs==4.3.6
pluggy==1.5.0 poetry-core==1.9.1 pydantic==2.10.4 pygments==2.18.0 pytest==8.3.4
pytest-asyncio==0.25.0 referencing==0.35.1 rich==13.9.4 setuptools==75.6.0 starlette==0.42.0 tomlkit==0.13.2
typer==0.15.1 typing-extensions==4.12.2 urllib3==2.3.0 uvicorn==0.34.0 virtualenv==20.28.0 werkzeug==3.1.3
""".split()  # noqa: SIM905

# Texts, written in every way that there is for the same data

KEYS = st.sampled_from(["a", "b", "l", "n", '"x y"', "'d.e'", '"é"'])
SCALARS = st.sampled_from(
    ["1", "0x1F", "true", "1.5", "inf", '"s"', "'s'", '"é # no"', '"""\n# no\n[x]\n"""', "1979-05-27", "07:32:00"]
)
COMMENTS = st.sampled_from(["", "", "# one\n", "\n", "\n# two\n\n", "# three\n# four\n"])
TAILS = st.sampled_from(["", "", " # behind", "  #ü"])


@st.composite
def arrays(draw: st.DrawFn, members: st.SearchStrategy[str]) -> str:
    some = draw(st.lists(members, max_size=3))
    if draw(st.booleans()) or not some:
        return f"[{', '.join(some)}]"
    comma = draw(st.sampled_from(["", ","]))
    lines = [f"{value}{comma if number == len(some) else ','}" for number, value in enumerate(some, 1)]
    text = "".join(f"{draw(COMMENTS)}  {line}{draw(TAILS)}\n" for line in lines)
    return f"[\n{text}{draw(COMMENTS)}]"


@st.composite
def inline_tables(draw: st.DrawFn, members: st.SearchStrategy[str]) -> str:
    some = draw(st.dictionaries(KEYS, members, max_size=3))
    return f"{{ {', '.join(f'{key} = {value}' for key, value in some.items())} }}" if some else "{}"


VALUES = st.recursive(SCALARS, lambda inner: arrays(inner) | inline_tables(inner), max_leaves=4)


@st.composite
def pairs(draw: st.DrawFn) -> str:
    return "".join(
        f"{draw(COMMENTS)}{key}{draw(st.sampled_from(['', '.sub', ' . sub']))} = {draw(VALUES)}{draw(TAILS)}\n"
        for key in draw(st.lists(KEYS, max_size=3, unique=True))
    )


HEADERS = ["[t]", "[t.u]", "[ t . 'v' ]", "[t.w.x]", "[s]", "[[o]]", "[[o]]", "[o.p]", "[[o.q]]"]


@st.composite
def documents(draw: st.DrawFn) -> str:
    text = draw(pairs())
    for header in draw(st.lists(st.sampled_from(HEADERS), max_size=5)):
        text += f"{draw(COMMENTS)}{header}{draw(TAILS)}\n{draw(pairs())}"
    text += draw(COMMENTS)
    if draw(st.integers(0, 3)) == 0:
        text = text.removesuffix("\n")
    return text.replace("\n", "\r\n") if draw(st.integers(0, 3)) == 0 else text


def says(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


TEXTS = documents().filter(says)
RANDOMS = st.integers(0, 2**32).map(random.Random)
NEW: list[Any] = [
    1,
    True,
    1.5,
    float("nan"),
    "x",
    'quo"te\n\x7f',
    [],
    {},
    [1, 2],
    ["ours>=1", "a"],
    {"k": 1, "l": {"m": [{"z": 1}]}},
    [{"n": "a"}, {"n": "b"}],
    datetime.time(7, 32),
    datetime.datetime(1979, 5, 27, 7, 32, tzinfo=datetime.UTC),
]


def places(data: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for step, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*above, step)
        yield from places(value, (*above, step))


def mutated(data: Any, chance: random.Random) -> Any:
    data = copy.deepcopy(data)
    for _ in range(chance.randint(1, 3)):
        above = data
        *way, last = chance.choice([*places(data), ("new",)])
        for step in way:
            above = above[step]
        change = chance.choice(["put", "delete", "add"])
        if change == "put" or last == "new":
            above[last] = copy.deepcopy(chance.choice(NEW))
        elif change == "delete":
            del above[last]
        elif isinstance(above, dict):
            above[chance.choice(["new", "a b", "é.f"])] = copy.deepcopy(chance.choice(NEW))
        else:
            above.insert(last, copy.deepcopy(chance.choice(NEW)))
    return data


def edited(text: str, chance: random.Random) -> str:
    """`text` after somebody changed some of what it says."""
    return FORMAT.conform(text, mutated(FORMAT.load(text), chance), [text], RULES)


def merged_exactly(base: str, template: str, service: str) -> str:
    wanted, decisions = merge(FORMAT.load(base), FORMAT.load(template), FORMAT.load(service), RULES)
    merged = merge_texts(FORMAT, base, template, service, RULES)
    assert same(FORMAT.load(merged.text), wanted)
    if service not in (base, template):
        assert merged.decisions == decisions
    assert merge_texts(FORMAT, template, template, merged.text, RULES).text == merged.text
    return merged.text


def comments(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.strip().startswith("# team")}


@given(TEXTS, TEXTS)
def test_what_says_it_already_stays(text: str, other: str) -> None:
    assert FORMAT.conform(text, FORMAT.load(text), [other], RULES) == text


@given(TEXTS, TEXTS)
def test_any_text_can_be_made_to_say_what_another_says(text: str, other: str) -> None:
    wanted = FORMAT.load(other)
    assert same(FORMAT.load(FORMAT.conform(text, wanted, [other, text], RULES)), wanted)


@given(TEXTS, RANDOMS)
def test_any_change_can_be_made_and_taken_back(text: str, chance: random.Random) -> None:
    data = FORMAT.load(text)
    wanted = mutated(data, chance)
    changed = FORMAT.conform(text, wanted, [text], RULES)
    assert same(FORMAT.load(changed), wanted)
    assert same(FORMAT.load(FORMAT.conform(changed, data, [text], RULES)), data)


@given(TEXTS, TEXTS, TEXTS)
def test_a_merge_says_what_the_data_should(base: str, template: str, service: str) -> None:
    merged_exactly(base, template, service)


@given(TEXTS, RANDOMS, RANDOMS)
def test_small_changes_by_both_merge_exactly(base: str, theirs: random.Random, ours: random.Random) -> None:
    merged_exactly(base, edited(base, theirs), edited(base, ours))


@given(TEXTS, TEXTS)
def test_a_template_that_did_not_change_changes_nothing(base: str, service: str) -> None:
    assert merge_texts(FORMAT, base, base, service, Rules()).text == service


@given(TEXTS, st.sampled_from(["new", "x y"]), st.sampled_from(NEW))
def test_what_is_inserted_and_deleted_again_leaves_the_same_bytes(text: str, key: str, value: Any) -> None:
    data = FORMAT.load(text)
    places = [(), *((name,) for name, inner in data.items() if isinstance(inner, dict) and inner)]
    for place in places:
        if key in (data[place[0]] if place else data):
            continue
        wanted = copy.deepcopy(data)
        (wanted[place[0]] if place else wanted)[key] = value
        inserted = FORMAT.conform(text, wanted, [text], RULES)
        assert FORMAT.conform(inserted, data, [text, inserted], RULES) == text


@given(TEXTS, RANDOMS)
def test_the_comments_of_the_team_survive(base: str, chance: random.Random) -> None:
    lines = base.splitlines(True)  # in values within values on one line nothing can hold them
    service = "".join(f"# team {number}\n{line}" for number, line in enumerate(lines))
    nested = "{" in base or any(line.count("[") > 1 and "[[" not in line for line in lines)
    if not nested and says(service) and same(FORMAT.load(service), FORMAT.load(base)):
        template = edited(base, chance)
        assert comments(merged_exactly(base, template, service)) >= comments(service)


@pytest.mark.parametrize("text", ["a =", "a = 1\na = 2", "a = 2021-02-30", "[" * 5000, "a = " + "[" * 5000])
def test_what_is_no_toml_is_refused_with_the_line(text: str) -> None:
    with pytest.raises(UnreadableError, match=r"^It is no TOML: .*\.$"):
        FORMAT.load(text)


# What others write


@pytest.mark.slow
@pytest.mark.parametrize("project", PROJECTS)
def test_real_files(project: str) -> None:
    found = sdists.texts("*/pyproject.toml", pins=[project])
    _, text = min(found, key=lambda file: file[0].count("/"))  # its own, not those of its tests
    data = FORMAT.load(text)
    assert FORMAT.conform(text, data, [text], RULES) == text
    for seed in range(12):
        theirs, ours = (random.Random(number) for number in (seed, seed + 1000))  # noqa: S311
        merged_exactly(text, edited(text, theirs), edited(text, ours))
    for key in ("project", "tool", "build-system"):
        less = {one: value for one, value in data.items() if one != key}
        without = FORMAT.conform(text, less, [text], RULES)
        again = FORMAT.conform(without, data, [text], RULES)
        assert same(FORMAT.load(again), data)
        assert FORMAT.conform(again, less, [text, again], RULES) == without
