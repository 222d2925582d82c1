"""What is printed, and which exit code says what."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import twelvefold
from twelvefold.console import COLOURS, exit_code
from twelvefold.decisions import PERSON, Decision, Outcome
from twelvefold.engine.report import Report, lines
from twelvefold.engine.transaction import Change
from twelvefold.service import File

SHOW = "from twelvefold.console import show; show('open', 'look'); show('note', 'plain')"


def test_on_a_terminal_there_are_colours() -> None:
    reader, writer = os.openpty()
    subprocess.run([sys.executable, "-c", SHOW], stdout=writer, check=True)
    os.close(writer)
    said = os.read(reader, 1000).decode()
    os.close(reader)
    assert said.splitlines() == ["\x1b[33mlook\x1b[0m", "plain\x1b[0m"]


def test_elsewhere_there_are_none() -> None:
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True)
    assert done.stdout == "look\nplain\n"


def test_every_colour_is_that_of_a_line_which_a_report_can_have() -> None:
    decisions = [Decision(outcome, "path", note="note") for outcome in Outcome]
    old, new = File(b"a"), File(b"b")
    changes = [Change("a", None, new), Change("b", old, new), Change("c", old, None)]
    report = Report("pay-api", "/template", "1", "2", "", changes, decisions, ["note"], was_applied=True)
    assert {kind for kind, _ in lines(report)} >= set(COLOURS)


@pytest.mark.parametrize("outcome", Outcome)
def test_what_needs_a_person_is_exit_code_2(outcome: Outcome) -> None:
    kept = Decision(Outcome.KEPT)
    assert exit_code([kept, Decision(outcome)]) == (2 if outcome in PERSON else 0)
    assert exit_code([kept, Decision(outcome, is_acknowledged=True)]) == 0
    assert exit_code([]) == 0


def calls(file: Path) -> set[str]:
    """The names of all functions that a module calls, as they are written."""
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}


def test_nothing_else_prints() -> None:
    """But rich's bar, which is on the terminal while a fleet's run goes on."""
    files = Path(twelvefold.__file__).parent.rglob("*.py")
    printing = {"print", "click.echo", "click.secho", "click.style", "sys.stdout.write", "sys.stderr.write"}
    assert {file.name for file in files if calls(file) & printing} == {"console.py"}
