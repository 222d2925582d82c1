"""Answers that are unpleasant but allowed: whatever is not refused renders to files that every parser reads."""

from __future__ import annotations

import json
import tempfile
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from test_files import parser
from twelvefold_answers import markdown, problems

from environments import render
from test_twelvefold_answers import GOOD
from trees import tree
from twelvefold.memory import inert

PUNCTUATION = st.text(st.sampled_from("\"'\\%{}$#<>|&;`~!@()[]=:,.*?-\t\n éß中🎉\u200d\ufe0f"), min_size=1, max_size=40)
TEXT = st.text(min_size=1, max_size=60) | PUNCTUATION


@pytest.mark.slow
@given(project_name=TEXT, description=TEXT)
@example(project_name="It's", description='"""')
@example(project_name="{{ cookiecutter }}", description="{% raw %} {# #} ${{ x }} %(x)s %s")
@example(project_name="a >> b", description="a >> b %> c #> d")
@example(project_name="\\", description="\\u0041\\")
@example(project_name="---", description="- [ ] # no heading: *&!|>'%@`")
@example(project_name="بايثون", description="日本語 👩‍👩‍👧 नमस्ते")
@example(project_name="]]>", description="</script><script>alert(1)</script>")
@example(project_name="<!-- hello", description="```")
@example(project_name="a *b* #", description="1. <b>c</b> &lt; [d](e)")
@example(project_name="${HOME}", description="$(reboot) `reboot` \\$(x)")
def test_it_is_refused_or_renders_to_valid_files(project_name: str, description: str) -> None:
    answers = {**GOOD, "project_name": project_name, "description": description}
    if problems(answers):
        return
    with tempfile.TemporaryDirectory() as directory:
        # Inert, because cookiecutter renders what it is given on its command line.
        service = render(Path(directory), **{question: inert(answer) for question, answer in answers.items()})
        for path, (_, content) in tree(service).items():
            parser(Path(path))(content.decode("utf-8"))
        check_values(service, project_name, description)


def check_values(service: Path, project_name: str, description: str) -> None:
    """What was answered is what the files say, not only something valid."""
    project = tomllib.loads((service / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    settings = tomllib.loads((service / "config/settings.toml").read_text(encoding="utf-8"))
    stored = json.loads((service / ".twelvefold/answers.json").read_text(encoding="utf-8"))
    assert project["description"] == settings["description"] == stored["description"] == description
    assert settings["title"] == stored["project_name"] == project_name
    assert shown((service / "README.md").read_text(encoding="utf-8")) == ["h1", project_name, "p", description]


def shown(text: str) -> list[str]:
    """What a reader of Markdown sees of its first two blocks: the tag and the text of each, markup as its type."""
    first, words, _, second, more_words, *_ = MarkdownIt("commonmark").enable(["strikethrough", "table"]).parse(text)
    return [first.tag, inline(words), second.tag, inline(more_words)]


def inline(token: Token) -> str:
    return "".join(part.content or part.type for part in token.children or ())


MARKDOWN = st.lists(
    st.sampled_from([*"\\`*_[]()<>!#&;~+-=|:.1a é", "```", "~~~", "<!--", "&amp;", "**", "1)", "- ", "](x)", "<b>"]),
    min_size=1,
).map("".join)


@given(MARKDOWN.filter(lambda text: text == text.strip()))
@example("<!-- hello")
@example("```")
@example("1. first")
@example("C #")
@example("---")
@example("[a]: b")
@example("https://example.com/a_b_ **c** ~~d~~ ~e~ &amp; <b> a\\")
@example("| a | b |")
def test_the_readme_shows_any_text_as_it_is(text: str) -> None:
    assert shown(f"# {markdown(text)}\n\n{markdown(text)}\n\n```\n") == ["h1", text, "p", text]


@pytest.mark.parametrize("line_end", ["\n", "\r", "\x0b", "\x85", "\u2028"])
def test_no_answer_can_add_a_line(line_end: str) -> None:
    for question in GOOD:
        assert problems({**GOOD, question: f"{GOOD[question]}{line_end}x"})
