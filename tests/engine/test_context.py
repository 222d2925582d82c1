"""What templates see as `cookiecutter`, beside what cookiecutter makes of the same questions and answers."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forks import Answers
from twelvefold.engine.rendering.context import Questions, answered, asked, context, read_questions
from twelvefold.engine.rendering.environment import Environment
from twelvefold.errors import RefusedError


def by_cookiecutter(questions: Mapping[str, Any], answers: Answers) -> Any:
    """The two dictionaries, without what says where the template lies, in order; "refused" if it raises."""
    from cookiecutter.generate import generate_context
    from cookiecutter.prompt import prompt_for_config

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cookiecutter.json"
        file.write_text(json.dumps(questions))
        try:
            seen = generate_context(str(file), extra_context=dict(answers))
            raw = {name: value for name, value in seen["cookiecutter"].items() if not name.startswith("_")}
            seen["cookiecutter"].update(prompt_for_config(seen, no_input=True))
        except Exception:
            return "refused"
    return list(seen["cookiecutter"].items()), list(raw.items())


def by_us(questions: Mapping[str, Any], answers: Answers) -> Any:
    ours = json.loads(json.dumps(questions), object_pairs_hook=Questions)
    try:
        environment = Environment(ours, {})
        seen = context(ours, answers, environment, (Path("/t/template"), Path("/t/out")))
    except RefusedError:
        return "refused"
    values = [(name, value) for name, value in seen["cookiecutter"].items() if name not in ABOUT]
    return values, list(seen["_cookiecutter"].items())


ABOUT = {"_template": "template", "_output_dir": "/t/out", "_repo_dir": "template", "_checkout": None}
NAMES = ("a", "b", "c", "_p", "__q", "__prompts__")
texts = st.sampled_from(
    [
        "",
        "x",
        "{{ cookiecutter.__q }}",
        "{{ 1 + 1 }}",
        "{{ cookiecutter.a }}",
        "{{ cookiecutter.b }}-{{ cookiecutter.a }}",
        "{{ cookiecutter._p }}",
        "{{ cookiecutter }}",
        "{{ x }}",
        "y\n",
    ]
)
scalars = st.one_of(texts, st.booleans(), st.integers(0, 9), st.none())
defaults = st.one_of(
    scalars,
    st.lists(texts, max_size=3),
    st.dictionaries(texts, st.one_of(scalars, st.lists(texts, max_size=2)), max_size=2),
)
answers = st.dictionaries(
    st.sampled_from(["a", "b", "c", "nobody_asks"]),
    st.one_of(st.sampled_from(["x", "yes", "T", "off", "", "y\n", " true "]), st.booleans()),
    max_size=3,
)


@given(
    questions=st.lists(st.tuples(st.sampled_from(NAMES), defaults), max_size=6, unique_by=lambda pair: pair[0]).map(
        dict
    ),
    answers=answers,
)
def test_any_context_is_cookiecutter_s(questions: Mapping[str, Any], answers: Answers) -> None:
    assert by_us(questions, answers) == by_cookiecutter(questions, answers)


@pytest.mark.parametrize(
    ("questions", "answers", "expected"),
    [
        ({"a": "x", "b": "<{{ cookiecutter.a }}>"}, {"a": "y"}, {"a": "y", "b": "<y>"}),
        ({"a": ["x", "{{ cookiecutter.b }}"], "b": "z"}, {}, "refused"),
        ({"b": "z", "a": ["x", "{{ cookiecutter.b }}"]}, {"a": "{{ cookiecutter.b }}"}, {"b": "z", "a": "z"}),
        ({"a": ["x", "y"]}, {"a": "z"}, "refused"),
        ({"a": True}, {"a": "off"}, {"a": False}),
        ({"a": True}, {"a": " F "}, {"a": False}),
        ({"a": False}, {"a": "T"}, {"a": True}),
        ({"a": True}, {"a": "perhaps"}, "refused"),
        ({"a": 8000}, {}, {"a": "8000"}),
        ({"a": {"k": "{{ cookiecutter.b }}"}, "b": "z"}, {}, {"a": {"k": "z"}, "b": "z"}),
        ({"_p": "{{ x }}", "__q": ["{{ 1 }}"]}, {}, {"_p": "{{ x }}", "__q": ["1"]}),
        ({"__q": {"k": "{{ cookiecutter.a | default('-') }}"}, "a": "z"}, {}, {"__q": {"k": "z"}, "a": "z"}),
    ],
    ids=str,
)
def test_what_cookiecutter_makes_of_questions(questions: Mapping[str, Any], answers: Answers, expected: Any) -> None:
    found = by_us(questions, answers)
    assert found == by_cookiecutter(questions, answers)
    assert (found if found == "refused" else dict(found[0])) == expected


def test_the_template_is_called_by_its_folder_s_name(tmp_path: Path) -> None:
    questions = Questions(a="x")
    seen = context(questions, {}, Environment(questions, {}), (Path("/t/template"), Path("/t/out")))
    assert seen["cookiecutter"] == {"a": "x", **ABOUT}


def test_an_answer_is_inert_and_a_default_that_names_it_has_it() -> None:
    questions = Questions(a="x", b="{{ cookiecutter.a }}!")
    given = {"a": "{{ 1 + 1 }}\r\n"}
    assert answered(asked(questions, given), given, Environment(questions, {})) == {
        "a": "{{ 1 + 1 }}\r\n",
        "b": "{{ 1 + 1 }}\r\n!",
    }


def test_the_template_s_own_settings_are_no_answers() -> None:
    assert asked(Questions(a="x", _extensions=[]), {"_extensions": "os"}) == {"a": "x", "_extensions": []}


@pytest.mark.parametrize(("text", "said"), [("{", "is not JSON"), ('{"template": ["a (b)"]}', "several templates")])
def test_a_file_of_questions_that_cannot_be_used_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "cookiecutter.json").write_text(text)
    with pytest.raises(RefusedError, match=said):
        read_questions(tmp_path)
