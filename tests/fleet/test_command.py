"""Any command in a repository: what it changed, what it said, and what it leaves running."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from conftest import commit, git
from required import require_proc
from twelvefold.errors import FailedError
from twelvefold.fleet.branch import Branch
from twelvefold.fleet.command import Order, carry_out, try_out
from twelvefold.fleet.forges import NoForge
from twelvefold.fleet.remote import Clone, Remote, heads
from twelvefold.fleet.results import TurnOutcome

NAME = "chore/it"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    (work / "services/cart").mkdir(parents=True)
    (work / "services/cart/a.txt").write_text("a\n")
    commit(work, "Begin")
    git(tmp_path, "clone", "--quiet", "--bare", "work", "pay.git")
    return tmp_path / "pay.git"


def look(bare: Path) -> Branch:
    remote = Remote(str(bare))
    there = heads(remote, NAME)
    clone = Clone(bare.parent / "clones/pay", remote)
    clone.update(there, NAME)
    return Branch(clone, there, NAME, NoForge(), ())


def order(script: str, **values: object) -> Order:
    return Order(("sh", "-c", script), "chore: it", **values)  # type: ignore[arg-type]


def test_it_runs_in_the_service_s_folder(bare: Path) -> None:
    done = carry_out(look(bare), order("cat a.txt >b.txt", folder="services/cart"))
    assert (done.outcome, done.sentence) == (TurnOutcome.PROPOSED, "1 file changed.")
    assert git(bare, "show", f"{NAME}:services/cart/b.txt") == "a\n"
    assert "- `services/cart/b.txt`" in done.body


def test_what_it_committed_itself_is_proposed_too(bare: Path) -> None:
    script = "echo b >b.txt; git add b.txt; git -c user.name=x -c user.email=x@x commit -qm x; echo c >c.txt"
    done = carry_out(look(bare), order(script))
    assert (done.outcome, done.sentence) == (TurnOutcome.PROPOSED, "2 files changed.")
    assert git(bare, "log", "--format=%s", NAME).splitlines() == ["chore: it", "Begin"]


def test_trying_out_changes_nothing(bare: Path) -> None:
    done = try_out(look(bare), order("echo b >b.txt"))
    assert done.outcome is TurnOutcome.WOULD_CHANGE
    assert not (bare.parent / "clones/pay/b.txt").exists()
    assert git(bare, "branch", "--list", NAME) == ""
    assert try_out(look(bare), order("true")).outcome is TurnOutcome.IN_STEP


def test_one_that_fails_proposes_nothing_and_tells_how_it_ended(bare: Path) -> None:
    with pytest.raises(FailedError, match=r"sh ended with 3: 10 \| 11") as error:
        carry_out(look(bare), order("echo half >half.txt; seq 1 29; exit 3"))
    assert error.value.message.endswith("| 29")
    assert git(bare, "branch", "--list", NAME) == ""
    with pytest.raises(FailedError, match="nothing-here cannot be run: No such file"):
        carry_out(look(bare), Order(("nothing-here",), "t"))


@pytest.mark.parametrize("script", ["sleep 60 & echo $! >{pid}; wait", "sleep 60 >/dev/null 2>&1 & echo $! >{pid}"])
def test_nothing_that_it_started_outlives_it(script: str, bare: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    began = time.monotonic()
    if "wait" in script:
        with pytest.raises(FailedError, match="sh was not done in 1 s"):
            carry_out(look(bare), order(script.format(pid=pid), seconds=1))
    else:
        carry_out(look(bare), order(script.format(pid=pid), seconds=30))
    assert time.monotonic() - began < 20
    _gone(int(pid.read_text()))


def _gone(process: int) -> None:
    require_proc()
    until = time.monotonic() + 5
    while Path(f"/proc/{process}/stat").exists() and " Z " not in Path(f"/proc/{process}/stat").read_text():
        assert time.monotonic() < until, f"{process} goes on"
        time.sleep(0.02)
    assert process != os.getpid()
