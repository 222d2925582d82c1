"""A service's README: its commands work as they are typed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from commands import run
from conftest import Render
from environments import EVERYTHING
from running import environment_of

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (?:[A-Z_]+=\S+ )*(\S+) (.*?)(?:  +#.*)?$", re.MULTILINE)
HELP = """
import json, sys
from chassis.cli import main
from my_service.__main__ import service
sys.exit(max(main(service, [*arguments, "--help"]) for arguments in json.loads(sys.argv[1])))
"""


@pytest.fixture
def service(rendered: Render) -> Path:
    return rendered(**EVERYTHING)


@pytest.fixture
def commands(service: Path) -> list[tuple[str, str]]:
    """Each program with what it is told."""
    blocks = BLOCK.findall((service / "README.md").read_text(encoding="utf-8"))
    return [found for block in blocks for found in COMMAND.findall(block)]


def test_its_programs_are_found_without_an_activated_environment(commands: list[tuple[str, str]]) -> None:
    assert {program for program, _ in commands} == {".venv/bin/python", "docker", "git", "make"}


def test_its_targets_are_in_the_makefile(commands: list[tuple[str, str]], service: Path) -> None:
    targets = set(re.findall(r"^\.PHONY: (.+)$", (service / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {rest.split()[0] for program, rest in commands if program == "make"}
    assert named <= targets


def test_its_commands_are_the_service_s(commands: list[tuple[str, str]], service: Path, python: Path) -> None:
    of_service = [rest.split() for program, rest in commands if program == ".venv/bin/python"]
    assert {tuple(words[:2]) for words in of_service} == {("-m", "my_service")}
    arguments = [words[2:] for words in of_service]
    done = run(python, "-c", HELP, json.dumps(arguments), cwd=service, env=environment_of(service))
    assert done.returncode == 0, done.stdout + done.stderr
