"""The way from 0.1.0, whose chassis lay in src/chassis: a rollup like any other, after which nothing is left there."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml
from test_history import RELEASES, render

from commands import run
from conftest import Render, commit, git
from environments import service_path, without_project
from histories import edit, twelvefold, write
from trees import tree


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service of 0.1.0."""
    return render(RELEASES["0.1.0"], tmp_path_factory.mktemp("first"))


@pytest.fixture
def service(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "my-service"))


def update(service: Path, template: Path, *options: str) -> tuple[int, str]:
    if not (service / ".git").exists() or git(service, "status", "--porcelain"):
        commit(service, "The team's")
    report = service.parent / "report.json"
    where = ("--template", template, "--ref", "HEAD", "--no-lock", "--report", report)
    done = twelvefold("rollup", service, *where, *options)
    return done.exit_code, done.output


def test_nothing_is_left_of_it(service: Path, template: Path, rendered: Render) -> None:
    code, said = update(service, template)
    assert code == 0, said
    assert not list(service.glob("src/chassis")) + list(service.glob("tests/chassis"))
    assert tree(service, "vendor") == tree(rendered(), "vendor")


def test_an_edit_in_it_goes_and_is_in_the_report(service: Path, template: Path) -> None:
    edit(service, "src/chassis/health.py", "from __future__", "# Patched in a hurry.\nfrom __future__")
    edit(service, "tests/chassis/conftest.py", "import", "import this  # ours\nimport")
    code, said = update(service, template)
    assert code == 2
    assert "src/chassis/health.py: removed, with your edits" in said
    assert "tests/chassis/conftest.py: removed, with your edits" in said
    assert not (service / "src/chassis").exists()
    decisions = json.loads((service.parent / "report.json").read_text(encoding="utf-8"))["decisions"]
    (patch,) = [one["patch"] for one in decisions if one["path"] == "src/chassis/health.py"]
    assert "\n+# Patched in a hurry.\n" in patch
    assert len([line for line in patch.splitlines() if line.startswith(("+", "-"))]) == 3


def test_that_can_be_acknowledged_beforehand(service: Path, template: Path) -> None:
    edit(service, "src/chassis/health.py", "from __future__", "# Patched in a hurry.\nfrom __future__")
    code, said = update(service, template, "--heal")
    assert (code, "src/chassis/health.py: removed" in said) == (0, True)


def test_what_git_does_not_have_as_it_was_is_shown_whole(service: Path, template: Path) -> None:
    edit(service, "src/chassis/health.py", "from __future__", "# Patched in a hurry.\nfrom __future__")
    shutil.rmtree(service / ".git")
    commit(service, "All that we have")
    assert update(service, template)[0] == 2
    decisions = json.loads((service.parent / "report.json").read_text(encoding="utf-8"))["decisions"]
    (patch,) = [one["patch"] for one in decisions if one["path"] == "src/chassis/health.py"]
    assert "\n-# Patched in a hurry.\n" in patch


def test_the_team_s_own_files_in_it_move_into_its_package(service: Path, template: Path) -> None:
    write(service, "src/chassis/ours.py", "OURS = True\n")
    write(service, "src/chassis/deep/ours.py", "DEEP = True\n")
    write(service, "tests/chassis/test_ours.py", "def test_ours() -> None: ...\n")
    code, said = update(service, template)
    assert code == 2
    assert "src/chassis/ours.py: moved, since it is yours, to src/my_service/ours.py" in said
    assert (service / "src/my_service/ours.py").read_text(encoding="utf-8") == "OURS = True\n"
    assert (service / "src/my_service/deep/ours.py").read_text(encoding="utf-8") == "DEEP = True\n"
    assert (service / "tests/test_ours.py").is_file()
    assert not list(service.glob("src/chassis")) + list(service.glob("tests/chassis"))
    assert update(service, template)[0] == 0


@pytest.mark.parametrize(
    ("own", "place"),
    [("src/chassis/api.py", "src/my_service/api.py"), ("tests/chassis/test_greeting.py", "tests/test_greeting.py")],
)
def test_one_that_has_no_place_to_go_to_is_refused(own: str, place: str, service: Path, template: Path) -> None:
    write(service, own, "OURS = True\n")
    before = tree(service)
    code, said = update(service, template)
    assert code == 2
    assert f"{own} is yours" in said
    assert place in said
    assert f"git mv {own}" in said
    assert tree(service) == before


def test_what_git_ignores_there_is_no_obstacle(service: Path, template: Path) -> None:
    write(service, "src/chassis/__pycache__/health.cpython-313.pyc", "\0")
    assert update(service, template)[0] == 0
    assert (service / "src/chassis/__pycache__/health.cpython-313.pyc").is_file()
    assert "Nothing to do" in update(service, template)[1]


def test_what_the_team_s_code_imports_of_it_is_named(service: Path, template: Path) -> None:
    edit(
        service,
        "tests/test_greeting.py",
        "import pytest\n",
        "import pytest\nfrom service_process import make_service\n",
    )
    edit(service, "src/my_service/api.py", "from pydantic", "from chassis.lifecycle import Background\nfrom pydantic")
    write(
        service, "src/my_service/more.py", "from chassis import Service, settings\nfrom chassis.settings import load\n"
    )
    code, said = update(service, template)
    assert code == 2
    assert "tests/test_greeting.py: imports what is there no more: service_process (line 4)" in said
    assert "src/my_service/api.py: imports what is there no more: chassis.lifecycle (line 6)" in said
    assert "src/my_service/more.py" not in said
    assert update(service, template)[0] == 0


def test_what_it_imports_and_the_template_required_for_the_chassis_is_named(service: Path, template: Path) -> None:
    write(service, "src/my_service/counted.py", "from prometheus_client import Counter\n")
    write(service, "src/my_service/calls.py", "import aiohttp\nimport click\n")
    write(service, "src/my_service/more.py", "import fastapi, pydantic\n")
    (service / "src/my_service/link.py").symlink_to("calls.py")
    code, said = update(service, template)
    assert code == 2
    lost = "imports what the template requires no more"
    assert f"src/my_service/counted.py: {lost}: prometheus-client (line 1)" in said
    assert (
        f"src/my_service/calls.py: {lost}: aiohttp (line 1), click (line 2). To go on with it: uv add aiohttp click"
        in said
    )
    assert "more.py" not in said
    assert update(service, template)[0] == 0


def test_a_requirement_of_the_team_s_own_beside_them_stays_and_is_not_named(service: Path, template: Path) -> None:
    edit(service, "pyproject.toml", '  "aiohttp",\n', '  "aiohttp>=3",\n')
    write(service, "src/my_service/calls.py", "import aiohttp\n")
    _, said = update(service, template)
    assert "calls.py" not in said
    assert "aiohttp>=3" in (service / "pyproject.toml").read_text(encoding="utf-8")


def test_what_a_team_excluded_stays_beside_what_the_template_does(service: Path, template: Path) -> None:
    edit(service, "pyproject.toml", 'src = ["src"]\n', 'src = ["src"]\nextend-exclude = ["legacy"]  # ours\n')
    edit(service, ".pre-commit-config.yaml", "repos:\n", "exclude: ^legacy/\nrepos:\n")
    code, said = update(service, template)
    assert code == 0, said
    project = tomllib.loads((service / "pyproject.toml").read_text(encoding="utf-8"))
    assert {"legacy", "vendor/chassis", ".twelvefold"} < {*project["tool"]["ruff"]["extend-exclude"]}
    hooks = yaml.safe_load((service / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert hooks["exclude"] == "^legacy/"
    assert "kept yours: exclude = ^legacy/" in said
    [rewriting] = [hook["exclude"] for hook in hooks["repos"][0]["hooks"] if hook["id"] == "toml-sort"]
    for path in ("vendor/chassis/pyproject.toml", ".twelvefold/applied/pyproject.toml"):
        assert re.search(rewriting, path)
    assert not re.search(rewriting, "vendor/chassis-cache/pyproject.toml")


def test_one_that_is_back_is_refused(service: Path, template: Path) -> None:
    update(service, template)
    write(service, "src/chassis/__init__.py", "")
    code, said = update(service, template)
    assert code == 2
    assert "src/chassis is a package of the name that the template's has in vendor/" in said
    assert "git rm -r src/chassis" in said


def test_where_no_update_left_it_such_a_folder_is_the_team_s(template: Path, fresh: Render) -> None:
    service = fresh()
    write(service, "tests/chassis/test_ours.py", "def test_ours() -> None: ...\n")
    write(service, "src/chassis/notes.txt", "no package\n")
    before = tree(service)
    code, said = update(service, template)
    assert (code, tree(service)) == (0, before), said


def test_a_submodule_in_it_is_refused(service: Path, template: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    write(other, "a.py", "")
    commit(other, "Begin")
    git(service, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "src/chassis/sub")
    code, said = update(service, template)
    assert code == 2
    assert "src/chassis/sub is no file, such as a submodule" in said


@pytest.mark.parametrize("line", ["vendor/", "/vendor", "**/vendor/**"])
def test_a_service_that_ignores_vendor_is_told_before_anything_is_written(
    line: str, service: Path, template: Path
) -> None:
    edit(service, ".gitignore", "# Caches\n", f"# Caches\n{line}\n")
    before = tree(service)
    code, said = update(service, template)
    assert code == 2
    assert "git ignores vendor/" in said
    assert f"({line})" in said
    assert tree(service) == before


def test_and_goes_on_with_the_line_that_was_named(service: Path, template: Path) -> None:
    edit(service, ".gitignore", "# Caches\n", "# Caches\nvendor/\n!/vendor/\n")
    assert update(service, template)[0] == 0
    commit(service, "Rolled up")
    assert git(service, "ls-files", "vendor/chassis/pyproject.toml")


@pytest.mark.slow
@pytest.mark.parametrize("is_back", [False, True])
def test_plain_scaraplate_refuses_to_leave_two(is_back: bool, service: Path, template: Path) -> None:
    if is_back:
        update(service, template)
        write(service, "src/chassis/__init__.py", "")
    before = tree(service)
    done = run("scaraplate", "rollup", template, service, "--no-input")
    assert done.returncode == 2
    assert "Run for this one step: twelvefold rollup" in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(service) == before


@pytest.mark.slow
def test_its_own_tests_pass_afterwards(service: Path, template: Path, python: Path) -> None:
    edit(service, "src/my_service/api.py", '"World"', '"Mars"')
    edit(service, "tests/test_greeting.py", "World!", "Mars!")
    assert update(service, template)[0] == 0
    environment = {**without_project(), "PYTHONPATH": service_path(service)}
    done = run(python.parent / "pytest", "-q", cwd=service, env=environment)
    assert done.returncode == 0, done.stdout


def switched_off_by_scaraplate(service: Path, template: Path) -> None:
    """Which leaves vendor/chassis-tasks, and forgets it."""
    answers = service / ".twelvefold/answers.json"
    answers.write_text(answers.read_text(encoding="utf-8").replace('"tasks": true', '"tasks": false'), encoding="utf-8")
    commit(service, "Without tasks")
    done = run("scaraplate", "rollup", template, service, "--no-input")
    assert done.returncode == 0, done.stderr
    assert (service / "vendor/chassis-tasks/pyproject.toml").is_file()
    assert "vendor/chassis-tasks" not in (service / ".twelvefold/manifest.json").read_text(encoding="utf-8")
    commit(service, "Rolled up")


def test_what_scaraplate_left_of_a_part_goes(template: Path, fresh: Render, rendered: Render) -> None:
    service = fresh(tasks=True)
    switched_off_by_scaraplate(service, template)
    code, said = update(service, template)
    assert code == 0, said
    assert tree(service, "vendor") == tree(rendered(), "vendor")
    assert "Nothing to do" in update(service, template)[1]


def test_where_git_lacks_the_history_to_know_that_a_person_is_told(template: Path, fresh: Render) -> None:
    made = fresh(tasks=True)
    switched_off_by_scaraplate(made, template)
    write(made, "vendor/acme/pyproject.toml", '[project]\nname = "acme"\n')
    commit(made, "Ours")
    service = made.with_name("shallow")
    git(made.parent, "clone", "--quiet", "--depth=1", made.as_uri(), str(service))
    code, said = update(service, template)
    assert code == 2
    assert "vendor/chassis-tasks: left as it is: it is named as the template's is" in said
    assert "git fetch --unshallow" in said
    assert "vendor/acme" not in said
    git(service, "fetch", "--quiet", "--unshallow")
    assert update(service, template)[0] == 0
    assert not (service / "vendor/chassis-tasks").exists()


def test_and_an_edit_in_that_is_in_the_report(template: Path, fresh: Render) -> None:
    service = fresh(tasks=True)
    write(service, "vendor/chassis-tasks/src/chassis_tasks/__init__.py", "# Patched in a hurry.\n")
    switched_off_by_scaraplate(service, template)
    code, said = update(service, template)
    assert code == 2
    assert "vendor/chassis-tasks/src/chassis_tasks/__init__.py: removed, with your edits" in said
    assert not (service / "vendor/chassis-tasks").exists()


def test_what_the_team_brought_back_of_it_is_the_team_s(template: Path, fresh: Render) -> None:
    service = fresh(tasks=True)
    switched_off_by_scaraplate(service, template)
    update(service, template)
    commit(service, "Gone")
    write(service, "vendor/chassis-tasks/pyproject.toml", "# Ours now.\n")
    code, said = update(service, template)
    assert code == 0, said
    assert (service / "vendor/chassis-tasks/pyproject.toml").is_file()


def test_what_a_team_has_in_vendor_itself_stays(service: Path, template: Path) -> None:
    write(service, "vendor/acme/acme.py", "ACME = True\n")
    code, said = update(service, template)
    assert code == 0, said
    assert (service / "vendor/acme/acme.py").is_file()
    assert git(service, "status", "--porcelain", "vendor/acme") == ""
