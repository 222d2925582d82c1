"""`make example`, as a person at a terminal: the service that an example becomes runs until Ctrl-C."""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

import example
from commands import run
from environments import TEMPLATE
from terminal import exit_code, make, read_until


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Each of these renders into the same folder."""
    (TEMPLATE / ".cache").mkdir(exist_ok=True)
    with FileLock(TEMPLATE / ".cache/example.lock"):
        yield


@pytest.mark.slow
@pytest.mark.parametrize(("name", "page"), [("identity", "/.well-known/jwks.json"), ("poller", "/")])
def test_it_serves_until_ctrl_c_and_exits_with_0(name: str, page: str) -> None:
    process, terminal = make("example", f"NAME={name}")
    shown = read_until(terminal, r"Ctrl-C ends it\.")
    assert "Nothing to do." in shown  # of the rollup
    address = re.findall(r"http://127\.0\.0\.1:\d+", shown)[0]
    for path in (page, "/docs", "/readyz"):
        with urllib.request.urlopen(f"{address}{path}", timeout=10) as response:
            assert response.status == 200
    code = Path(re.findall(r"the code +(\S+)", shown)[0])
    assert (code / "vendor/chassis").is_dir()
    own = f"src/{name}/api.py"
    assert (code / own).read_bytes() == (TEMPLATE / "examples" / name / own).read_bytes()
    os.write(terminal, b"\x03")
    read_until(terminal, r"twelvefold: Stopped\.")
    assert exit_code(process) == 0


@pytest.mark.parametrize("name", [(), ("nothing",), ("../docs",)])
def test_it_says_which_examples_there_are(name: tuple[str, ...]) -> None:
    done = run("python", "scripts/example.py", *name, cwd=TEMPLATE)
    assert done.returncode == 2
    assert done.stderr == "Say which example: make example NAME=..., one of identity, poller\n"


def test_the_template_is_copied_as_it_lies_here(tmp_path: Path) -> None:
    copy = example.copied(tmp_path / "template")
    for name in ("cookiecutter.json", "examples/poller/answers.json"):
        assert (copy / name).read_bytes() == (TEMPLATE / name).read_bytes()
    assert not (copy / ".venv").exists()
    assert run("git", "status", "--porcelain", cwd=copy).stdout == ""
