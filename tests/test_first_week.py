"""docs/first-week.md: its commands run, one after the other, against repositories on this machine."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from commands import run
from conftest import commit, git
from environments import TEMPLATE, without_project
from example import copy_template

PAGE = (TEMPLATE / "docs/first-week.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FORGE = "https://git.example.com/"
NAMES = [f"shop-{number}" for number in range(1, 4)]  # of the ten: each takes uv its seconds
PYPROJECT = """\
[project]
name = "{name}"
version = "2.1.0"
dependencies = ["click>=8"]

[tool.ruff]
line-length = 99
"""


@pytest.fixture
def forge(tmp_path: Path) -> Path:
    """The repositories of git.example.com: a fork of the template, an empty one, and some that no template made."""
    forge = tmp_path / "forge"
    forge.mkdir()
    git(tmp_path, "clone", "--quiet", str(TEMPLATE), "fork")
    git(tmp_path / "fork", "checkout", "--quiet", "-B", "main")
    copy_template(tmp_path / "fork")
    if git(tmp_path / "fork", "status", "--porcelain"):
        commit(tmp_path / "fork", "What is not committed yet")
    git(tmp_path, "clone", "--quiet", "--bare", "fork", str(forge / "platform/twelvefold"))
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch", "main", str(forge / "payments/invoice-mailer"))
    for name in NAMES:
        service = tmp_path / "before" / name
        package = service / "src" / name.replace("-", "_")
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("OURS = True\n", encoding="utf-8")
        (service / "pyproject.toml").write_text(PYPROJECT.format(name=name), encoding="utf-8")
        (service / "Makefile").write_text("ours:\n\techo ours\n", encoding="utf-8")
        git(service, "init", "--quiet", "--initial-branch", "main")
        commit(service, "Ours")
        git(service, "clone", "--quiet", "--bare", ".", str(forge / "shop" / name))
    return forge


@pytest.fixture
def environment(forge: Path, tmp_path: Path) -> dict[str, str]:
    """As of somebody who reaches that forge, and lets `make release` run few of the tests."""
    settings = f'[url "file://{forge}/"]\n\tinsteadOf = {FORGE}\n[user]\n\tname = Ada\n\temail = ada@example.com\n'
    (tmp_path / "gitconfig").write_text(settings, encoding="utf-8")
    return {
        **without_project(*(name for name in os.environ if name.startswith("PYTEST"))),
        "ARGS": "tests/test_scaraplate_yaml.py -k every_rule_has_a_path",
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "TWELVEFOLD_CACHE": str(tmp_path / "templates"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "UV_TOOL_DIR": str(tmp_path / "tools"),
    }


def carry_out(
    section: str, folder: Path, environment: Mapping[str, str], after: Callable[[str], None] = lambda block: None
) -> tuple[Path, str]:
    """Run a section's blocks, each from where the one before it ended; return where the last did, and what was said.

    `after` is called with each block that has run.
    """
    [text] = re.findall(rf"^## {section}.*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    said = ""
    for block in BLOCK.findall(text):
        where = folder.parent / "where"
        script = f"set -euo pipefail; trap 'pwd >{where}' EXIT\n{block}"
        done = run("bash", "-c", script, cwd=folder, env=environment)
        expected = re.findall(r"# exit code (\d)", block)
        assert done.returncode == int(expected[0] if expected else 0), f"{block}\n{done.stdout}{done.stderr}"
        folder = Path(where.read_text(encoding="utf-8").strip())
        said += done.stdout
        after(block)
    return folder, said


def proposed_to(forge: Path) -> set[str]:
    """The repositories that have a branch of the fleet's."""
    return {
        str(path.relative_to(forge))
        for path in forge.glob("*/*")
        if git(path, "for-each-ref", "--format=%(refname)", "refs/heads/twelvefold/update").strip()
    }


def at(forge: Path, repository: str, path: str, branch: str = "main") -> str:
    return git(forge / repository, "show", f"{branch}:{path}")


@pytest.mark.slow
def test_the_week_goes_as_it_is_told(forge: Path, environment: dict[str, str], tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "repositories.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")

    folder, said = carry_out("Monday", work, environment)
    assert "Released 1.0.0." in said
    assert "1.0.0" in git(forge / "platform/twelvefold", "tag", "--list").split()

    folder, _ = carry_out("Tuesday", folder, environment)
    assert "hole in Invoice Mailer?" in at(forge, "payments/invoice-mailer", "SECURITY.md")
    assert json.loads(at(forge, "payments/invoice-mailer", ".twelvefold/template.json"))["url"].startswith(FORGE)

    folder, said = carry_out("Wednesday", folder, environment)
    assert said.count("Nothing was changed.") == len(NAMES)
    for name in NAMES:
        repository = forge / "shop" / name
        assert "Makefile" in (folder / f"adoption/{name}.md").read_text(encoding="utf-8")
        assert "line-length = 99" in at(forge, f"shop/{name}", "pyproject.toml", "twelvefold/adopt")
        assert f'name = "{name}"' in at(forge, f"shop/{name}", "uv.lock", "twelvefold/adopt")
        git(repository, "update-ref", "refs/heads/main", "refs/heads/twelvefold/adopt")  # its team merges
        git(repository, "branch", "--quiet", "-D", "twelvefold/adopt")

    proposed: dict[str, set[str]] = {}
    folder, said = carry_out(
        "Thursday", folder, environment, lambda block: proposed.update({block.strip(): proposed_to(forge)})
    )
    everybody = {"payments/invoice-mailer", *(f"shop/{name}" for name in NAMES)}
    [checked], [canary], [whole] = (
        [who for block, who in proposed.items() if block.startswith(command)]
        for command in (
            "twelvefold fleet rollup --check",
            "twelvefold fleet rollup --wave canary",
            "twelvefold fleet rollup\n",
        )
    )
    assert checked == set()
    assert canary == {"payments/invoice-mailer"}
    assert whole == everybody
    for service in everybody:
        assert "not to a chat" in at(forge, service, "SECURITY.md", "twelvefold/update")
    assert "OURS = True" in at(forge, "shop/shop-1", "src/shop_1/__init__.py", "twelvefold/update")
    page = (folder / "fleet.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("invoice-mailer", *NAMES))
