"""What is replaced in scaraplate, cookiecutter and Jinja while they render, and that they still ask for it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from jinja2 import Environment, TemplateSyntaxError
from jinja2.ext import Extension

from conftest import commit, git
from histories import History, render, rolled_up, team_s, write
from trees import tree
from twelvefold import render as rendering
from twelvefold import template as templates
from twelvefold.render import UNUSED, Checkout, keeping_checkouts, replacements


@pytest.fixture
def history(tmp_path: Path) -> History:
    repository = tmp_path / "template"
    repository.mkdir()
    history = History(repository)
    history.release("0.1.0")
    return history


@pytest.fixture
def service(history: History, tmp_path: Path) -> Path:
    service = render(history, "0.1.0", tmp_path)
    write(service, "owned/core.py", "drift = True\n")
    return service


def parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def replacement(name: str, checkout: Checkout) -> Any:
    return next(value for _, each, value in replacements(checkout) if each == name)


def test_each_replacement_is_called_in_a_rollup(
    history: History, service: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where upstream no longer calls a name, its replacement does nothing, and nobody would notice."""
    called: list[str] = []

    def noted(checkout: Checkout) -> list[tuple[object, str, object]]:
        return [(owner, name, noting(name, value)) for owner, name, value in replacements(checkout)]

    def noting(name: str, value: Any) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            called.append(name)
            return value(*arguments, **options)

        return call

    monkeypatch.setattr(rendering, "replacements", noted)
    rolled_up(history, service, "0.1.0", exit_code=2)
    template = templates.find(str(history.repository), "0.1.0")
    assert set(called) == {name for _, name, _ in replacements(Checkout(template, service))}


def test_what_is_replaced_takes_what_it_took() -> None:
    import cookiecutter.generate as generate
    import cookiecutter.hooks as hooks
    from scaraplate.rollup import apply_generated_project
    from scaraplate.template import get_template_meta_from_git

    meta = ["template_meta", "scaraplate_yaml_strategies"]
    assert parameters(apply_generated_project) == ["generated_path", "target_path", *meta]
    assert parameters(generate.is_binary)[0] == "filename"
    assert parameters(hooks.run_script) == ["script_path", "cwd"]
    assert parameters(get_template_meta_from_git) == ["template_path", "git_remote_type"]
    assert parameters(Environment.compile) == ["source", "name", "filename", "raw", "defer_init"]
    assert parameters(Environment.from_string) == ["source", "globals", "template_class"]
    assert parameters(yaml.safe_load) == ["stream"]


def test_nothing_stays_replaced(history: History, service: Path) -> None:
    template = templates.find(str(history.repository), "0.1.0")
    places = [(owner, name) for owner, name, _ in replacements(Checkout(template, service))]
    before = [getattr(owner, name) for owner, name in places]
    rolled_up(history, service, "0.1.0", exit_code=2)
    assert [getattr(owner, name) for owner, name in places] == before


def test_the_template_s_metadata_is_what_scaraplate_finds_itself(history: History, tmp_path: Path) -> None:
    from scaraplate.template import get_template_meta_from_git

    from twelvefold.git_remote import TemplateRemote

    template = templates.find(str(history.repository), "0.1.0")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(history.repository), str(clone))
    git(clone, "checkout", "--quiet", "--detach", "0.1.0")
    known = replacement("get_template_meta_from_git", Checkout(template, clone))
    theirs = get_template_meta_from_git(clone, git_remote_type=TemplateRemote)
    assert known(clone, git_remote_type=TemplateRemote) == theirs


@pytest.mark.parametrize("link", ["", "seeds/link.py"])
def test_what_is_moved_is_as_scaraplate_writes_it(link: str, history: History, tmp_path: Path) -> None:
    """Files of all owners, there and not there before, executable and not; and a link, which scaraplate reads."""
    from scaraplate.config import ScaraplateYamlStrategies, StrategyNode
    from scaraplate.rollup import apply_generated_project
    from scaraplate.strategies import IfMissing, Overwrite, SortedUniqueLines

    overwrite, if_missing, merged = (StrategyNode(each, {}) for each in (Overwrite, IfMissing, SortedUniqueLines))
    nodes = {"owned/*": overwrite, "owned/[x].py": if_missing, "seeds/*": if_missing, "merged/*": merged}
    template = templates.find(str(history.repository), "0.1.0")
    moving = replacement("apply_generated_project", Checkout(template, tmp_path))
    for name, apply in {"plain": apply_generated_project, "quick": moving}.items():
        generated, target = tmp_path / name / "generated", tmp_path / name / "target"
        for path in ("owned/deep/a b.py", "owned/x.py", "owned/old.py", "seeds/old.py", "merged/m", "no rule"):
            write(generated, path, f"new {path}\n")
        (generated / "owned/deep/a b.py").chmod(0o755)
        if link:
            (generated / link).symlink_to(generated / "owned/x.py")
        for path in ("owned/old.py", "seeds/old.py", "merged/m"):
            write(target, path, "old\n")
        apply(generated, target, template_meta=None, scaraplate_yaml_strategies=ScaraplateYamlStrategies(merged, nodes))
    assert tree(tmp_path / "quick/target") == tree(tmp_path / "plain/target")
    assert not [path for path in (tmp_path / "quick/target").rglob("*") if path.is_symlink()]
    left = set(tree(tmp_path / "quick/generated"))
    assert ("owned/x.py" in left, "owned/old.py" in left) == (bool(link), True)


def test_modules_of_a_template_are_imported_once_a_checkout(history: History, tmp_path: Path) -> None:
    from importlib import import_module

    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        write(folder, "helper_of_template.py", f"WHERE = {folder.name!r}\n")
    kept: dict[str, ModuleType] = {}
    found = []
    for folder, modules in ((folders[0], kept), (folders[1], {}), (folders[0], kept)):
        with rendering.imports_apart(folder, modules):
            found.append(import_module("helper_of_template"))
        assert "helper_of_template" not in sys.modules
    assert [module.WHERE for module in found] == ["one", "other", "one"]
    assert found[0] is found[2]


def test_a_kept_checkout_serves_each_version_its_own(history: History, service: Path, tmp_path: Path) -> None:
    history.release("0.2.0", {"owned/core.py": "TWO = 2\n"})
    (tmp_path / "second").mkdir()
    second = render(history, "0.1.0", tmp_path / "second")
    with keeping_checkouts():
        for each in (service, second):
            rolled_up(history, each, "0.2.0", exit_code=2 if each == service else 0)
        rolled_up(history, second, "0.1.0", "--allow-downgrade")
    assert (service / "owned/core.py").read_text() == "TWO = 2\n"
    (tmp_path / "fresh").mkdir()
    assert team_s(second) == team_s(render(history, "0.1.0", tmp_path / "fresh"))


def test_a_checkout_leaves_the_template_s_index_alone(history: History, tmp_path: Path) -> None:
    history.release("0.2.0", {"owned/core.py": "TWO = 2\n"})
    before = (history.repository / ".git/index").read_bytes()
    folder = tmp_path / "checkout"
    folder.mkdir()
    templates.find(str(history.repository), "0.1.0").checkout(folder)
    assert (history.repository / ".git/index").read_bytes() == before
    assert git(history.repository, "status", "--porcelain") == ""
    run = folder / "<<cookiecutter.project_slug>>/owned/run.sh"
    assert (run.stat().st_mode & 0o100, list(tmp_path.glob("*.index"))) == (0o100, [])


class Shouting(Extension):
    """Reads every text its own way."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return source.upper()


@pytest.mark.parametrize(
    "source", ["src/chassis/health.py", "", "a{b", "<%x%>", "<<x>>", "<#x#>a", "a\n", "a\r\nb", "# a"]
)
@pytest.mark.parametrize("options", [{}, {"line_statement_prefix": "#"}, {"extensions": [Shouting]}])
def test_a_text_without_a_tag_is_rendered_as_jinja_does(
    source: str, options: dict[str, Any], history: History, tmp_path: Path
) -> None:
    checkout = Checkout(templates.find(str(history.repository), "0.1.0"), tmp_path)
    from_string = replacement("from_string", checkout)
    starts = {"variable_start_string": "<<", "block_start_string": "<%", "comment_start_string": "<#"}
    ends = {"variable_end_string": ">>", "block_end_string": "%>", "comment_end_string": "#>"}
    environment: Any = Environment(**starts, **ends, **options)  # type: ignore[arg-type]  # noqa: S701
    assert result(lambda: from_string(environment, source)) == result(lambda: environment.from_string(source))


def result(make: Callable[[], Any]) -> str:
    try:
        return str(make().render(x=1))
    except TemplateSyntaxError as error:
        return str(error)


def test_the_scratch_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(rendering, "SHARED_MEMORY", str(tmp_path))
    assert rendering._memory_disk() == str(tmp_path)
    monkeypatch.setattr(rendering, "ROOM", 2**80)
    assert rendering._memory_disk() is None
    monkeypatch.setattr(rendering, "ROOM", 0)
    monkeypatch.setattr(rendering, "SHARED_MEMORY", str(tmp_path / "none"))
    assert rendering._memory_disk() is None
    monkeypatch.setattr(rendering, "SHARED_MEMORY", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert rendering._memory_disk() is None


def test_rules_that_a_hook_changes_are_the_next_service_s_own(history: History, tmp_path: Path) -> None:
    checkout = Checkout(templates.find(str(history.repository), "0.1.0"), tmp_path)
    load = replacement("safe_load", checkout)
    load("a: [1]")["a"].append(2)
    assert load("a: [1]") == {"a": [1]}
    with (history.repository / "scaraplate.yaml").open() as file:
        assert "strategies_mapping" in load(file)


def test_a_stand_in_imports_the_real_module_when_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "UNUSED", ("colorsys",))
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with rendering._without_unused():
        import colorsys
    assert "colorsys" not in sys.modules
    assert colorsys.rgb_to_hsv(0, 0, 1) == (2 / 3, 1.0, 1)
    assert "colorsys" in sys.modules


def imported(*arguments: str | Path) -> set[str]:
    """The modules that the command has imported at its end, in a Python of its own."""
    code = (
        "import sys; from twelvefold.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code in (0, 1, 2), end.code\n"
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1].split())


def test_a_rollup_does_not_import_what_it_does_not_need(history: History, service: Path) -> None:
    commit(service, "The team's")
    found = imported("rollup", service, "--template", history.repository, "--ref", "0.1.0", "--no-lock")
    assert "scaraplate.rollup" in found
    assert not found & set(UNUSED)


@pytest.mark.parametrize("command", ["rollup", "status"])
def test_where_there_is_nothing_to_do_nothing_that_renders_is_imported(
    command: str, history: History, tmp_path: Path
) -> None:
    fresh = render(history, "0.1.0", tmp_path)
    found = imported(command, fresh, "--template", history.repository)
    assert "twelvefold.plan" in found
    assert not found & {"cookiecutter", "filelock", "jinja2", "packaging.requirements", "scaraplate", "tree_sitter"}
