"""`make fleet-demo`, from a clone on a machine that has Python and git alone, and stopped at a terminal."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from commands import run, succeed
from conftest import git
from environments import TEMPLATE
from example import copy_template
from fleets import BRANCH
from terminal import exit_code, make, read_until

# How a machine reaches PyPI, which is its own affair.
WAY_TO_PYPI = re.compile(r"(pip|ssl|uv_(?!python|project))|.*_(proxy|ca_bundle)$", re.IGNORECASE)
SERVICES = tomllib.loads((TEMPLATE / "examples/fleet/services.toml").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """The demo has one folder in a checkout: one test at a time makes it."""
    with FileLock(TEMPLATE / ".cache/fleet-demo.lock"):
        yield


@pytest.mark.slow
def test_it_rolls_up_the_fleet_and_keeps_what_the_teams_wrote(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(TEMPLATE), str(clone))
    copy_template(clone)
    # The home has uv's downloads; git has no name for who commits.
    kept = {name: value for name, value in os.environ.items() if WAY_TO_PYPI.match(name)}
    bare = {**kept, "HOME": str(Path.home()), "PATH": "/usr/local/bin:/usr/bin:/bin", "GIT_CONFIG_GLOBAL": os.devnull}
    done = run("make", "fleet-demo", cwd=clone, env=bare)
    assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (0, False), done.stdout + done.stderr
    said = done.stdout.replace("  |   ", "") + re.sub(" +", " ", done.stdout)
    first, now, following = git(clone / ".cache/fleet-demo/template", "tag", "--list", "--sort=version:refname").split()
    for shown in (
        f"accounts {first} would change",
        f"delivery {now} would change",
        f"gateway {following} in step",
        "1/1 accounts: proposed.",
        "1/1 accounts: in step.",
        "8 services: 1 failed, 2 in step, 2 need a person, 3 proposed.",
        "- `vendor/chassis/src/chassis/process/health.py`: put back as the template has it\n",
        '-    DRAINING = "going"  # what our balancer calls it\n',
    ):
        assert shown in said, done.stdout
    page = Path(re.findall(r"the page +(\S+)", done.stdout)[0]).read_text(encoding="utf-8")
    for name, about in SERVICES.items():
        assert name in page
        for path, text in about.get("keeps", {}).items():
            repository = clone / f".cache/fleet-demo/git/{name}.git"
            if not text:
                assert run("git", "cat-file", "-e", f"{BRANCH}:{path}", cwd=repository).returncode, f"{path} is back"
            else:
                assert text in succeed("git", "show", f"{BRANCH}:{path}", cwd=repository), (name, path)
    for name in ("billing", "catalogue"):  # their dependencies were locked anew
        changed = git(clone / f".cache/fleet-demo/git/{name}.git", "diff", "--name-only", f"main..{BRANCH}").split()
        assert "uv.lock" in changed


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["Making a clone", "fleet rollup --check"])
def test_ctrl_c_ends_it_and_what_it_started(moment: str) -> None:
    process, terminal = make("fleet-demo", "ARGS=--no-lock")
    read_until(terminal, moment)
    os.write(terminal, b"\x03")
    shown = read_until(terminal, r"Error 130")
    assert "Traceback" not in shown
    assert "the next run begins anew" in shown
    assert exit_code(process) == 2  # make's, for whatever its command returned
    running = [line for line in succeed("ps", "-eo", "args").splitlines() if f"{TEMPLATE}/.venv" in line]
    assert not [line for line in running if "twelvefold fleet" in line]
