"""A template's hooks, run as cookiecutter runs them, those in Python in this process. See test_project.py, too."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from twelvefold.engine.rendering.environment import Environment
from twelvefold.engine.rendering.hook import Hooks, execute, found
from twelvefold.errors import RefusedError


@pytest.fixture
def template(tmp_path: Path) -> Path:
    (tmp_path / "template/hooks").mkdir(parents=True)
    return tmp_path / "template"


def hooks(template: Path, context: Mapping[str, object]) -> Hooks:
    scratch = template.parent / "scripts"
    scratch.mkdir(exist_ok=True)
    (template.parent / "project").mkdir(exist_ok=True)
    return Hooks(template, scratch, Environment({}, {}), context)


def test_the_hooks_that_are_found_are_cookiecutter_s(template: Path) -> None:
    from cookiecutter.hooks import find_hook

    for name in ("pre_gen_project.py", "pre_gen_project.sh", "pre_gen_project", "pre_gen_project.py~", "pre_gen.py"):
        (template / "hooks" / name).touch()
    theirs = find_hook("pre_gen_project", str(template / "hooks"))
    assert [str(path) for path in found(template, "pre_gen_project")] == sorted(theirs or [])
    assert found(template, "post_gen_project") == []
    assert found(template / "elsewhere", "pre_gen_project") == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "post_gen_project.py",
            "import os, pathlib\npathlib.Path('said').write_text('{{ x }} ' + os.environ['TWELVEFOLD_QUIET'])",
        ),
        ("post_gen_project.sh", '#!/bin/sh\nprintf "{{ x }} $TWELVEFOLD_QUIET" > said\n'),
    ],
)
def test_a_hook_is_rendered_and_runs_in_the_project(
    name: str, text: str, template: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TWELVEFOLD_QUIET", raising=False)
    (template / "hooks" / name).write_text(text)
    here = Path.cwd()
    project = template.parent / "project"
    hooks(template, {"x": "ä"}).run("post_gen_project", project)
    assert (project / "said").read_bytes().decode() == "ä 1"
    assert (Path.cwd(), "TWELVEFOLD_QUIET" in os.environ) == (here, False)
    assert capfd.readouterr() == ("", "")
    assert (template / "hooks" / name).read_text() == text


@pytest.mark.parametrize("end", ["", "import sys; sys.exit()", "raise SystemExit(0)"])
def test_a_hook_in_python_may_end_well_as_it_likes(end: str, tmp_path: Path) -> None:
    (tmp_path / "hook.py").write_text(f"assert __name__ == '__main__'\n{end}")
    main, output = sys.modules["__main__"], sys.stdout
    execute(tmp_path / "hook.py", tmp_path)
    assert (sys.modules["__main__"], sys.stdout) == (main, output)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise SystemExit('No such team.\\nType another.')", "rendered: No such team. Type another.$"),
        ("print('one')\nprint('two')\nraise SystemExit(2)", r"rendered: Hook script failed \(exit status: 2\): two$"),
        ("raise SystemExit(2)", r"rendered: Hook script failed \(exit status: 2\)$"),
    ],
)
def test_a_hook_in_python_that_refuses_is_quoted(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "hook.py").write_text(text)
    here = Path.cwd()
    (tmp_path / "project").mkdir()
    with pytest.raises(RefusedError) as raised:
        execute(tmp_path / "hook.py", tmp_path / "project")
    raised.match(said)
    assert Path.cwd() == here


def test_what_a_hook_in_python_raises_is_raised_and_what_it_did_to_this_process_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWELVEFOLD_QUIET", "before")
    monkeypatch.setattr(sys, "argv", ["twelvefold", "rollup", "--check"])
    changes = "os.environ.update(X='left'); del os.environ['TWELVEFOLD_QUIET']; os.chdir('/')"
    text = f"import os, sys\nassert sys.argv == [__file__], sys.argv\nsys.argv.append('x')\n{changes}\n{{}}['a key']"
    (tmp_path / "hook.py").write_text(text)
    here, environment = Path.cwd(), dict(os.environ)
    with pytest.raises(KeyError, match="a key"):
        execute(tmp_path / "hook.py", tmp_path)
    assert (Path.cwd(), dict(os.environ)) == (here, environment)
    assert sys.argv == ["twelvefold", "rollup", "--check"]


def test_a_hook_that_cannot_be_executed_is_made_so(tmp_path: Path) -> None:
    script = tmp_path / "hook"
    script.write_text("#!/bin/sh\ntouch done\n")
    script.chmod(0o644)
    execute(script, tmp_path)
    assert (tmp_path / "done").exists()
