"""Every file of every combination of answers, read by a parser of its format."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import dekobon_tree_sitter_groovy
import pytest
import tree_sitter
import yaml
from dockerfile_parse import DockerfileParser

from answers import combinations, label
from commands import run, succeed
from conftest import Render, commit
from environments import EVERYTHING, SERVICE
from trees import tree

LEFTOVERS = re.compile(r"<<(?!: \*)|<%|%>|<#|cookiecutter\.")  # but YAML merges a mapping with <<
JINJA = re.compile(r"<%|%>|<#|#>|<<\s*cookiecutter|\{\{|\{%")


def parse_dockerfile(text: str) -> None:
    structure = DockerfileParser(fileobj=BytesIO(text.encode())).structure
    assert {"FROM", "ENTRYPOINT", "USER"} <= {line["instruction"] for line in structure}


def parse_groovy(text: str) -> None:
    groovy = tree_sitter.Language(dekobon_tree_sitter_groovy.language())
    assert not tree_sitter.Parser(groovy).parse(text.encode()).root_node.has_error


def parse_makefile(text: str) -> None:
    done = run("make", "--file=-", "--dry-run", "help", typed=text)
    assert done.returncode == 0, done.stderr


def parse_lines(text: str) -> None:
    assert text.endswith("\n")
    assert all(line == line.rstrip() for line in text.splitlines())


def parse_chart_template(text: str) -> None:
    """Only what can be seen without Helm; tests/deploy/test_chart.py renders it."""
    parse_lines(text)
    for opening, closing in ((r"\{\{", r"\}\}"), (r"\{\{-? *(if|range|with|define)\b", r"\{\{-? *end\b")):
        assert len(re.findall(opening, text)) == len(re.findall(closing, text)), opening


def parse_editorconfig(text: str) -> None:
    for line in text.splitlines():
        assert re.fullmatch(r"|root = true|\[.+\]|\w+ = [\w-]+", line), line


def parse_env(text: str) -> None:
    for line in text.splitlines():
        assert re.fullmatch(r"|#.*|[A-Z_]+=\S*", line), line


def parse_mako(text: str) -> None:
    # Of Mako's there are expressions alone: with something in their place, the rest is Python.
    ast.parse(re.sub(r"\$\{[^{}]*\}", "...", text))


PARSERS: dict[str, Callable[[str], object]] = {
    ".py": ast.parse,
    ".tpl": parse_chart_template,
    ".toml": tomllib.loads,
    ".json": json.loads,
    ".yml": yaml.safe_load,
    ".yaml": yaml.safe_load,
    ".md": parse_lines,
    ".mako": parse_mako,
    "Dockerfile": parse_dockerfile,
    "Jenkinsfile": parse_groovy,
    "Makefile": parse_makefile,
    ".dockerignore": parse_lines,
    ".gitattributes": parse_lines,
    ".gitignore": parse_lines,
    ".editorconfig": parse_editorconfig,
    ".env.example": parse_env,
    "Procfile": yaml.safe_load,
    "py.typed": lambda text: text == "",
}


def parser(path: Path) -> Callable[[str], object]:
    if "templates" in path.parts:
        return parse_chart_template
    return PARSERS[path.name] if path.name in PARSERS else PARSERS[path.suffix]


@pytest.fixture(scope="module")
def contents(rendered: Render) -> dict[tuple[str, bytes], str]:
    """Every path with every content that it has for some answers, and a name of the first of those."""
    found: dict[tuple[str, bytes], str] = {}
    for answers in combinations():
        for path, (_, content) in tree(rendered(**answers)).items():
            found.setdefault((path, content), label(answers))
    return found


def test_every_file_parses(contents: dict[tuple[str, bytes], str]) -> None:
    """Each content once, however many services have it."""
    assert len(contents) > 200
    for (path, content), where in contents.items():
        try:
            parser(Path(path))(content.decode("utf-8"))
        except Exception as error:
            raise AssertionError(f"{path}, with {where}: {error}") from error


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("x/templates/x.yaml", "{{ if a }}b\n"),
        ("x.tpl", "{{ a }\n"),
        ("Procfile", "web: a: b\n"),
        ("x.py", "def f(:"),
        ("x.toml", "a ="),
        ("x.json", "{"),
        ("x.yml", "a: [1"),
        ("x.md", "a "),
        ("x.mako", "revision = ${repr(up_revision)\n"),
        ("Dockerfile", "COPY a b\n"),
        ("Jenkinsfile", "pipeline {{ agent any }"),
        ("Makefile", "help:\n    echo spaces\n"),
        (".editorconfig", "nonsense"),
        (".env.example", "a b"),
    ],
)
def test_the_parsers_refuse_what_is_broken(name: str, broken: str) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - each parser has errors of its own
        parser(Path(name))(broken)


def test_no_delimiter_is_left_over(contents: dict[tuple[str, bytes], str]) -> None:
    for (path, content), where in contents.items():
        if not path.endswith(".py"):  # copied, not rendered: `x << 2` is Python
            found = LEFTOVERS.search(content.decode("utf-8"))
            assert not found, f"{path}, with {where}: {found}"


def test_no_answer_changes_a_python_file(contents: dict[tuple[str, bytes], str], rendered: Render) -> None:
    """A capability adds files; none is rendered in two ways, and with everything on, all of them are there."""
    python = [path for path, _ in contents if path.endswith(".py")]
    assert sorted(set(python)) == sorted(python)
    assert set(python) == {path for path in tree(rendered(**EVERYTHING)) if path.endswith(".py")}


def test_the_chassis_is_the_same_in_every_service(rendered: Render) -> None:
    trees = [
        {path: content for path, content in tree(rendered(**answers)).items() if path.startswith("vendor/chassis/")}
        for answers in combinations()
    ]
    assert "vendor/chassis/src/chassis/__init__.py" in trees[0]
    assert all(other == trees[0] for other in trees)


def test_no_python_of_the_template_has_a_jinja_tag() -> None:
    files = list(SERVICE.rglob("*.py"))
    assert len(files) > 10
    for file in files:
        text = file.read_text(encoding="utf-8")
        ast.parse(text)
        assert not re.search(r"<%|%>|<#|<<\s*\w*cookiecutter", text), file


@pytest.mark.parametrize("answers", combinations(), ids=label)
def test_only_the_chosen_pipeline_is_rendered(answers: dict[str, str | bool], rendered: Render) -> None:
    service = rendered(**answers)
    pipelines = {"gitlab": ".gitlab-ci.yml", "github": ".github/workflows/ci.yml", "jenkins": "Jenkinsfile"}
    assert {ci for ci, path in pipelines.items() if (service / path).exists()} == {answers["ci"]}
    assert (service / ".github/workflows/update.yml").exists() == (answers["ci"] == "github")


@pytest.mark.parametrize(
    ("answers", "path", "schema"),
    [
        ({"ci": "gitlab"}, ".gitlab-ci.yml", "vendor.gitlab-ci"),
        ({"ci": "github"}, ".github/workflows/ci.yml", "vendor.github-workflows"),
        ({"ci": "github"}, ".github/workflows/update.yml", "vendor.github-workflows"),
    ],
    ids=["gitlab", "github", "update"],
)
def test_the_pipeline_fits_its_schema(
    answers: dict[str, str | bool], path: str, schema: str, rendered: Render, tmp_path: Path
) -> None:
    def check(file: Path) -> int:
        return run("check-jsonschema", "--builtin-schema", schema, file).returncode

    pipeline = rendered(**answers) / path
    assert check(pipeline) == 0
    broken = tmp_path / "broken.yml"
    broken.write_text(pipeline.read_text(encoding="utf-8").replace("script:", "scrpt:").replace("runs-on:", "runs-in:"))
    assert check(broken) != 0


@pytest.mark.parametrize("answers", [{}, {"database": True, "tasks": True}], ids=label)
def test_the_scripts_of_the_gitlab_pipeline_are_as_shellcheck_wants_them(
    answers: dict[str, str | bool], rendered: Render, tmp_path: Path
) -> None:
    text = (rendered(**answers) / ".gitlab-ci.yml").read_text(encoding="utf-8")
    command = ("gitlab-ci-verify", "--no-lint-api")
    (tmp_path / ".gitlab-ci.yml").write_text(text, encoding="utf-8")
    commit(tmp_path, "Begin")
    succeed(*command, cwd=tmp_path)
    (tmp_path / ".gitlab-ci.yml").write_text(text.replace("make lint", "rm $FOO"), encoding="utf-8")
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 1
    assert "SC-2086" in done.stdout


@pytest.mark.parametrize(
    ("answers", "name", "harmless"),
    [
        ({}, "ci.yml", "make scan sbom"),
        ({"database": True, "tasks": True}, "ci.yml", "make scan sbom"),
        ({}, "update.yml", "make propose"),
    ],
    ids=["nothing", "everything", "update"],
)
def test_the_workflow_is_as_actionlint_and_zizmor_want_it(
    answers: dict[str, str | bool], name: str, harmless: str, rendered: Render, tmp_path: Path
) -> None:
    workflow = rendered(**answers, ci="github") / ".github/workflows" / name
    text = workflow.read_text(encoding="utf-8")
    for command in (("actionlint",), ("zizmor", "--offline", "--quiet")):
        succeed(*command, workflow)
        broken = tmp_path / name
        broken.write_text(text.replace(harmless, "make ${{ github.head_ref }}"), encoding="utf-8")
        assert run(*command, broken).returncode != 0


def test_every_value_that_a_condition_compares_with_is_an_answer() -> None:
    compared = set()
    for path in SERVICE.rglob("*"):
        texts = [path.name] + ([path.read_text(encoding="utf-8")] if path.is_file() and path.suffix != ".py" else [])
        for text in texts:
            compared |= set(re.findall(r"cookiecutter\.(\w+) == [\"'](\w+)[\"']", text))
    choices = {(question, answer) for answers in combinations() for question, answer in answers.items()}
    choices.add(("_chassis", "vendored"))  # no question: else it is a requirement
    assert compared
    assert compared <= choices


@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_the_dockerfile_is_as_hadolint_wants_it(
    answers: dict[str, str | bool], rendered: Render, tmp_path: Path
) -> None:
    dockerfile = rendered(**answers) / "Dockerfile"
    succeed("hadolint", dockerfile)
    broken = tmp_path / "Dockerfile"
    broken.write_text(f"{dockerfile.read_text(encoding='utf-8')}RUN sudo ls\n", encoding="utf-8")
    assert run("hadolint", broken).returncode != 0
