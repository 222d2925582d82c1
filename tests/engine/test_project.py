"""Whole renders: what our loop makes of a template is what cookiecutter does."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forks import PICTURE, TAGS, Answers, Contents, Fork, by_cookiecutter, by_us, folders
from trees import tree
from twelvefold.errors import RefusedError

TOP = "{{cookiecutter.slug}}"
QUESTIONS = {
    "slug": "pay-api",
    "title": "{{ cookiecutter.slug | replace('-', ' ') | title }}",
    "kind": ["api", "worker-{{ cookiecutter.slug }}"],
    "docs": True,
    "limits": {"{{ cookiecutter.slug }}": {"cpu": "{{ cookiecutter.kind }}"}},
    "__module": "{{ cookiecutter.slug | slugify(separator='_') }}",
    "_raw": "{{ cookiecutter.slug }}",
    "__prompts__": {"slug": "What is it called?"},
    "_copy_without_render": ["*.keep", "static", "{{cookiecutter.slug}}-x"],
    "_extensions": ["local_extensions.shout.Shout", "jinja2.ext.do"],
}
SHOUT = """
from jinja2.ext import Extension
from local_extensions.words import MARK

class Shout(Extension):
    def __init__(self, environment):
        super().__init__(environment)
        environment.filters["shout"] = lambda text: text.upper() + MARK
"""
PRE_GEN = """
import os, pathlib, sys
assert "{{ cookiecutter.slug }}" == pathlib.Path.cwd().name
pathlib.Path("from_pre_gen.txt").write_text("{{ cookiecutter.kind }} {{ cookiecutter._raw }}")
print("hello from python")
"""
POST_GEN = """#!/bin/sh
set -e
{% if not cookiecutter.docs %}
rm -r docs
{% endif %}
echo "{{ cookiecutter.title | shout }} $(basename "$PWD")" > from_post_gen.txt
ln -s from_post_gen.txt link
echo hello from sh
"""
FORK = Fork(
    QUESTIONS,
    {
        "local_extensions/__init__.py": "",
        "local_extensions/words.py": 'MARK = "!"\n',
        "local_extensions/shout.py": SHOUT,
        "hooks/pre_gen_project.py": PRE_GEN,
        "hooks/post_gen_project.sh": POST_GEN,
        "hooks/post_gen_project.py~": "raise SystemExit(1)",
        "templates/macros.txt": "{% macro hello(name) %}Hello {{ name }}{% endmacro %}",
        f"{TOP}/README.md": "# {{ cookiecutter.title | shout }}\n{{ cookiecutter.limits | jsonify }}\n\n",
        f"{TOP}/include.txt": "{% import 'macros.txt' as macros %}{{ macros.hello(cookiecutter.__module) }}",
        f"{TOP}/seen.txt": "{{ cookiecutter._template }} {{ cookiecutter._repo_dir }} {{ cookiecutter._checkout }} "
        "{{ _cookiecutter }} {{ cookiecutter._output_dir.startswith('/') }}",
        f"{TOP}/windows.txt": b"one {{ cookiecutter.kind }}\r\ntwo\r\n",
        f"{TOP}/mixed.txt": b"one\r\ntwo\nthree\n",
        f"{TOP}/old mac.txt": b"one\rtwo\r",
        f"{TOP}/no end": "{{ cookiecutter.slug }}",
        f"{TOP}/empty": "",
        f"{TOP}/run.sh": "#!/bin/sh\necho {{ cookiecutter.slug }}\n",
        f"{TOP}/picture.png": PICTURE,
        f"{TOP}/data.dat": b"\0\1\2\xff\xfe{{ x }}" * 40,
        f"{TOP}/a {{{{cookiecutter.slug}}}} [x] Ä.keep": "{{ not rendered }}\r\n",
        f"{TOP}/static/{{{{cookiecutter.slug}}}}/deep.txt": "{{ not rendered }}",
        f"{TOP}/{{{{cookiecutter.__module}}}}/static/rendered.txt": "{{ cookiecutter.slug }}",
        f"{TOP}/docs/{{% if cookiecutter.docs %}}page.md{{% endif %}}": "page",
        f"{TOP}/docs/-dash": "{# a comment #}x",
        f"{TOP}/.hidden/.file": "{{ cookiecutter.slug }}",
    },
    executable=frozenset({f"{TOP}/run.sh", f"{TOP}/data.dat", f"{TOP}/static/{{{{cookiecutter.slug}}}}/deep.txt"}),
    links={f"{TOP}/link.md": "README.md", f"{TOP}/linked": "docs", f"{TOP}/static/linked": "../docs"},
)


def with_other_tags(fork: Fork) -> Fork:
    """The same template with `<< >>` for tags, and a line end of its own."""

    def told(text: str) -> str:
        return (
            text.replace("{{", "<<")
            .replace("}}", ">>")
            .replace("{%", "<%")
            .replace("%}", "%>")
            .replace("{#", "<#")
            .replace("#}", "#>")
        )

    questions = {
        name: told(value)
        if isinstance(value, str)
        else [told(one) for one in value]
        if isinstance(value, list)
        else value
        for name, value in fork.questions.items()
    }
    questions["limits"] = {"<< cookiecutter.slug >>": "<< cookiecutter.kind >>"}
    questions |= {"_jinja2_env_vars": {**TAGS, "trim_blocks": True, "lstrip_blocks": True}, "_new_lines": "\r\n"}
    files = {told(path): told(content) if isinstance(content, str) else content for path, content in fork.files.items()}
    links = {told(path): target for path, target in fork.links.items()}
    return Fork(questions, files, frozenset(map(told, fork.executable)), links)


def both(fork: Fork, answers: Answers, folder: Path) -> tuple[Path, Path]:
    """What cookiecutter renders, and what we do."""
    template = fork.write(folder / "template")
    return by_cookiecutter(template, answers, folder / "theirs"), by_us(template, answers, folder / "ours")


@pytest.mark.parametrize("fork", [FORK, with_other_tags(FORK)], ids=["jinja's tags", "other tags"])
@pytest.mark.parametrize(
    "answers",
    [{}, {"slug": "x", "docs": False}, {"kind": "api", "title": "50 % 'Ä' \"b\"", "nobody_asks": "x"}, {"docs": "n"}],
    ids=str,
)
def test_a_render_is_what_cookiecutter_makes(answers: Answers, fork: Fork, tmp_path: Path) -> None:
    theirs, ours = both(fork, answers, tmp_path)
    assert ours.name == theirs.name
    assert tree(ours) == tree(theirs)
    assert folders(ours) == folders(theirs)
    assert {path.name for path in ours.rglob("*") if path.is_symlink()} == {"link"}
    assert len(tree(ours)) > 20


def test_the_hooks_print_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    by_us(FORK.write(tmp_path / "template"), {}, tmp_path / "ours")
    assert capfd.readouterr() == ("", "")


def small(*questions: str, **more: object) -> Mapping[str, object]:
    return {"slug": "s", **dict.fromkeys(questions, ""), **more}


BROKEN: Mapping[str, tuple[Mapping[str, object], Contents, str]] = {
    "no folder": (small(), {"README.md": ""}, "no folder is named after a question"),
    "an empty folder name": (
        small(),
        {f"{TOP}/{{% if false %}}x{{% endif %}}/a": ""},
        'Error: "." directory already exists',
    ),
    "two folders of one name": (
        small(),
        {f"{TOP}/s/a": "", f"{TOP}/{TOP}/b": ""},
        'Error: "s" directory already exists',
    ),
    "an empty project name": ({"slug": ""}, {f"{TOP}/a": ""}, "names no folder"),
    "an unknown name": (
        small(),
        {f"{TOP}/a": "{{ cookiecutter.port }}"},
        "Unable to create file 'a'. Error message: 'collections.OrderedDict object' has no attribute 'port'.",
    ),
    "an unknown name in a file's name": (small(), {f"{TOP}/{{{{ x }}}}": ""}, "Unable to create file '{{ x }}'"),
    "an unknown name in a folder's": (small(), {f"{TOP}/{{{{ x }}}}/a": ""}, "Unable to create directory '{{ x }}'"),
    "an unknown name in the project's": (
        small(),
        {"{{cookiecutter.x}}/a": ""},
        "Unable to create project directory '{{cookiecutter.x}}'",
    ),
    "an unknown name in a question": (
        small(port="{{ cookiecutter.x }}"),
        {f"{TOP}/a": ""},
        "Unable to render variable 'port'",
    ),
    "a tag that does not end": (
        small(),
        {f"{TOP}/a": "x\n{% if %}"},
        "Expected an expression, got 'end of statement block' File \"./a\", line 2",
    ),
    "an unknown extension": (small(_extensions=["no.such.Extension"]), {f"{TOP}/a": ""}, "Unable to load extension"),
    "a text that is no UTF-8": (small(), {f"{TOP}/a": b"\xe4" * 2 + b"plain text, in latin-1\n" * 40}, "codec"),
    "a choice without choices": (small(kind=[]), {f"{TOP}/a": ""}, "The list of choices is empty"),
    "a choice of templates": (small(templates={"a": {"path": "a"}}), {f"{TOP}/a": ""}, "offers several templates"),
    "a hook in Python that fails": (
        small(),
        {f"{TOP}/a": "", "hooks/pre_gen_project.py": "import sys\nprint('No luck.')\nsys.exit(3)"},
        "Hook script failed (exit status: 3): No luck.",
    ),
    "a hook in sh that fails": (
        small(),
        {f"{TOP}/a": "", "hooks/post_gen_project.sh": "#!/bin/sh\necho No luck.\nexit 4"},
        "Hook script failed (exit status: 4): No luck.",
    ),
    "a hook that is no script": (small(), {f"{TOP}/a": "", "hooks/post_gen_project": ""}, "missing a shebang"),
    "a hook without its program": (
        small(),
        {f"{TOP}/a": "", "hooks/pre_gen_project.rb": "#!/no/such/ruby\n"},
        "Hook script failed (error: ",
    ),
    "an unknown name in a hook": (
        small(),
        {f"{TOP}/a": "", "hooks/pre_gen_project.py": "{{ x }}"},
        "'x' is undefined",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cookiecutter_cannot_render_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    from twelvefold.engine.render import saying_what_is_wrong

    questions, files, said = BROKEN[name]
    template = Fork(questions, files).write(tmp_path / "template")
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - it raises what it likes
        by_cookiecutter(template, {}, tmp_path / "theirs")
    assert theirs.value
    with pytest.raises(RefusedError) as ours, saying_what_is_wrong():
        by_us(template, {}, tmp_path / "ours")
    assert ours.value.message.startswith("The template cannot be rendered: ")
    assert said in ours.value.message


@pytest.mark.parametrize(
    "path", [f"{TOP}/{{{{cookiecutter.name}}}}/a", f"{TOP}/{{{{cookiecutter.name}}}}", "{{cookiecutter.name}}/a"]
)
@pytest.mark.parametrize("name", ["..", "../../out", "HERE/out"])
def test_nothing_is_written_outside_of_the_project(name: str, path: str, tmp_path: Path) -> None:
    template = Fork({"slug": "s", "name": "x"}, {f"{TOP}/b": "", path: ""}).write(tmp_path / "template")
    with pytest.raises(RefusedError, match="would be written to"):
        by_us(template, {"name": name.replace("HERE", str(tmp_path))}, tmp_path / "ours")
    assert {one.name for one in tmp_path.iterdir()} == {"template", "ours"}


def test_an_answer_is_not_rendered(tmp_path: Path) -> None:
    """Of a service that nobody trusts: cookiecutter would execute what stands in it."""
    template = Fork({"slug": "s", "name": "x"}, {f"{TOP}/a": "{{ cookiecutter.name }}"}).write(tmp_path / "template")
    hostile = "{{ cycler.__init__.__globals__.os.popen('touch OWNED') }}\r\n{% raw %}"
    assert (by_us(template, {"name": hostile}, tmp_path / "ours") / "a").read_bytes() == hostile.encode()


def test_a_hook_is_told_what_the_template_s_content_hashes_as(tmp_path: Path) -> None:
    """Which cookiecutter does not know."""
    files = {
        "hooks/post_gen_project.sh": "#!/bin/sh\nprintf '{{ template_content | default(\"\") }}' > told\n",
        f"{TOP}/a": "",
    }
    template = Fork({"slug": "s"}, files).write(tmp_path / "template")
    assert (by_us(template, {}, tmp_path / "ours") / "told").read_text() == "unversioned"
    assert (by_cookiecutter(template, {}, tmp_path / "theirs") / "told").read_text() == ""


def test_a_pre_prompt_hook_changes_a_copy_of_the_template(tmp_path: Path) -> None:
    hook = "import json, pathlib\nfile = pathlib.Path('cookiecutter.json')\nassert '{{' not in __file__\n"
    hook += "file.write_text(json.dumps({**json.loads(file.read_text()), 'added': 'by the hook'}))\n"
    files = {"hooks/pre_prompt.py": hook, f"{TOP}/a": "{{ cookiecutter.added }}"}
    template = Fork({"slug": "s"}, files).write(tmp_path / "template")
    before = tree(template)
    theirs = by_cookiecutter(template, {}, tmp_path / "theirs")
    ours = by_us(template, {}, tmp_path / "ours")
    assert tree(ours) == tree(theirs) == {"a": (0o644, b"by the hook")}
    assert tree(template) == before


def test_a_pre_prompt_hook_that_fails_is_said(tmp_path: Path) -> None:
    files = {"hooks/pre_prompt.sh": "#!/bin/sh\necho git is too old\nexit 1\n", f"{TOP}/a": ""}
    template = Fork({"slug": "s"}, files).write(tmp_path / "template")
    with pytest.raises(RefusedError, match=r"exit status: 1.*git is too old"):
        by_us(template, {}, tmp_path / "ours")


pieces = st.sampled_from(
    [
        "{{ cookiecutter.slug }}",
        "{{ cookiecutter.word }}",
        "{% if cookiecutter.docs %}a{% endif %}",
        "{# no #}",
        "é",
        "b",
    ]
)
names = st.lists(pieces, min_size=1, max_size=3).map("".join)
lines = st.sampled_from(["\n", "\r\n", "\r", " ", "text", "\ttext", "\0", "\x7f", "\u2028", "{{ x }}", "{{ '\\n' }}"])
contents = st.lists(st.one_of(pieces, lines), max_size=8).map("".join)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
patterns = st.lists(st.sampled_from(["*b", "b", "é*", "*/b", "[b]*", "nothing"]), max_size=2)


def result(render: object, template: Path, answers: Answers, output: Path) -> object:
    try:
        project = render(template, answers, output)  # type: ignore[operator]
    except Exception:
        return "failed"
    return project.name, tree(project), folders(project)


@given(
    files=st.dictionaries(paths, contents, min_size=1, max_size=4),
    copied=patterns,
    word=st.sampled_from(["w", "b", "", "a/b", "{{ 1 }}"]),
    docs=st.booleans(),
)
def test_any_render_is_what_cookiecutter_makes(
    files: Mapping[str, str], copied: list[str], word: str, docs: bool
) -> None:
    questions = {"slug": "s", "word": "w", "docs": True, "_copy_without_render": copied}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            template = Fork(questions, {f"{TOP}/{path}": text for path, text in files.items()}).write(
                folder / "template"
            )
        except OSError:  # a file and a folder of one name
            return
        answers: Answers = {"docs": docs} if "{" in word else {"docs": docs, "word": word}
        theirs = result(by_cookiecutter, template, answers, folder / "theirs")
        assert result(by_us, template, answers, folder / "ours") == theirs
