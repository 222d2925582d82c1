"""Many repositories with every trouble at once: whatever the workers, shards, kills and runs, one result.

They are copies of four, and nine in trouble: 40 show in the slow lane what a hundred show in the deep one. The forge is
git's own http-backend and GitLab's endpoints on this machine, so that every request is counted there.
"""

from __future__ import annotations

import copy
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from children import child
from conftest import git
from fleets import BRANCH, Fleet
from forge_server import TOKEN, Forge, serving
from histories import History
from starts import real_starts
from twelvefold.fleet.results import Result, Results, TurnOutcome

pytestmark = pytest.mark.slow

PROGRAM = str(Path(sys.executable).parent / "twelvefold")
TROUBLED = {
    "archived": TurnOutcome.FAILED,
    "broken": TurnOutcome.FAILED,  # no repository any more
    "corrupt": TurnOutcome.FAILED,  # one object is damaged
    "hanging": TurnOutcome.FAILED,  # takes connections, and answers late, with a refusal
    "in-step": TurnOutcome.IN_STEP,
    "moved": TurnOutcome.PROPOSED,  # a request is open, and the main branch moved on
    "person": TurnOutcome.PERSON,  # the team edited what the template owns
    "protected": TurnOutcome.FAILED,
    "reviewed": TurnOutcome.PROPOSED,  # a request is open, with a reviewer's commit
}
SIZES = [pytest.param(40), pytest.param(100, marks=pytest.mark.deep)]
EDITS = [
    {},
    {"seeds/api.py": "OURS = True\n"},
    {"README.md": "# Of the team\n", "docs/own.md": "own\n"},
    {".gitignore": "# Caches\n.cache/\n*.pyc\n/own\n\n# Secrets\n.env\n", "src/own.py": "print()\n"},
]
HANGS_SECONDS = 3


class Late(BaseHTTPRequestHandler):
    """What the hanging one has for a forge: it answers when others are long done."""

    def do_GET(self) -> None:
        time.sleep(HANGS_SECONDS)
        self.send_error(403)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        pass


@contextmanager
def answering_late() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Late) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Made:
    """The repositories before any run, the names of those that have no trouble, and the requests that are open."""

    fleet: Fleet
    ordinary: list[str]
    requests: list[dict[str, Any]]

    @property
    def count(self) -> int:
        return len(self.ordinary) + len(TROUBLED)


@dataclass
class Hundred:
    """A copy of the repositories with a forge of its own."""

    fleet: Fleet
    ordinary: list[str]
    forge: Forge
    late: str
    begun: ExitStack

    @property
    def count(self) -> int:
        return len(self.ordinary) + len(TROUBLED)

    def configure(self, text: str = "", **values: Any) -> None:
        projects = [
            {"url": f"{self.forge.url}/acme/{name}.git"} for name in [*self.ordinary, *TROUBLED] if name != "hanging"
        ]
        token = self.fleet.keep_token(TOKEN)
        forge = f"[forge]\nkind = 'gitlab'\n{token}url = '{self.forge.url}'\n"
        services = [*projects, {"url": f"{self.late}/acme/hanging.git"}]
        self.fleet.configure(forge + text, **{"services": services, **values})

    def begin(self, *options: str, state: str = ".fleet") -> subprocess.Popen[str]:
        """A rollup in a process of its own. It is ended with the block that the repositories are copied for."""
        files = ("--fleet", str(self.fleet.folder / "fleet.toml"), "--state", str(self.fleet.folder / state))
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with real_starts():
            return self.begun.enter_context(child(PROGRAM, "fleet", "rollup", *files, *options, **pipes))

    def run(self, *options: str, state: str = ".fleet", exit_code: int = 3) -> str:
        process = self.begin(*options, state=state)
        said = process.communicate(timeout=600)[0]
        assert process.returncode == exit_code, said
        assert "Traceback" not in said
        assert TOKEN not in said
        return said

    def results(self, state: str = ".fleet") -> dict[str, Result]:
        return {result.name: result for _, result in Results(self.fleet.folder / state / "results").all()}

    def done(self) -> int:
        """How many results there are."""
        return len(list((self.fleet.folder / ".fleet/results").glob("*.json")))

    def outcome(self, *states: str) -> dict[str, Any]:
        """All that a run leaves behind, without what is of this copy alone: commits' ids, ports, times."""
        results = {name: result for state in states or (".fleet",) for name, result in self.results(state).items()}
        return {
            name: (self._result(results[name]), self._branch(name), self._requests(name)) for name in sorted(results)
        }

    def _result(self, result: Result) -> tuple[object, ...]:
        told = [re.sub(r"127\.0\.0\.1:\d+", "forge", text) for text in (result.sentence, result.request)]
        number = [re.sub(r"\d+$", "N", text) for text in told]  # a request's number is who came first
        return (result.outcome, result.version, result.target, *number, result.drift, result.report)

    def _branch(self, name: str) -> object:
        repository = self.fleet.folder / f"git/acme/{name}.git"
        if name in {"broken", "corrupt", "hanging"}:
            return None
        tips = git(repository, "for-each-ref", "--format=%(refname) %(objectname)", f"refs/heads/{BRANCH}")
        if not tips:
            return None
        return git(repository, "rev-parse", f"{BRANCH}^{{tree}}"), git(
            repository, "log", "--format=%B", f"main..{BRANCH}"
        )

    def _requests(self, name: str) -> list[tuple[object, ...]]:
        shown = ("branch", "base", "state", "title", "description", "labels")
        return [tuple(one[key] for key in shown) for one in self.forge.requests if one["project"] == f"acme/{name}"]

    def pushes(self) -> Counter[str]:
        """How often each repository was pushed to."""
        found = [re.fullmatch(r"POST /acme/(.+)\.git/git-receive-pack", asked) for asked in self.forge.git_asked]
        return Counter(match[1] for match in found if match)


@pytest.fixture(scope="module", params=SIZES)
def made(request: pytest.FixtureRequest, beginning: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    ordinary = [f"s{number:03}" for number in range(request.param - len(TROUBLED))]
    folder = tmp_path_factory.mktemp("hundred")
    history = History(Path(shutil.copytree(beginning / "template", folder / "template")))
    history.release("0.2.0", {"owned/core.py": '"""Mended."""\n', "owned/new.py": "NEW = True\n"})
    seed = Path(shutil.copytree(beginning / "services/pay-api", folder / "services/pay-api"))
    (folder / "fleet/git/acme").mkdir(parents=True)
    fleet = Fleet(folder / "fleet", history, seed)
    for number in range(len(EDITS)):
        fleet.add(f"acme/{ordinary[number]}")
        for path, text in EDITS[number].items():
            fleet.push(f"acme/{ordinary[number]}", path, text)
        _tidy(fleet.repository(f"acme/{ordinary[number]}"))
    for number, name in enumerate([*ordinary[len(EDITS) :], *(set(TROUBLED) - {"hanging"})]):
        source = fleet.repository(f"acme/{ordinary[number % len(EDITS)]}")
        shutil.copytree(source, fleet.repository(f"acme/{name}"))
    with serving(fleet.folder / "git") as forge:
        _trouble(Hundred(fleet, ordinary, forge, "", ExitStack()))
        requests = forge.requests
    shutil.rmtree(fleet.folder / ".fleet")
    return Made(fleet, ordinary, requests)


def _tidy(repository: Path) -> None:
    """Few files, so that copies are quick."""
    git(repository, "repack", "-a", "-d", "--quiet")
    git(repository, "config", "http.receivepack", "true")
    git(repository, "config", "uploadpack.allowFilter", "true")
    shutil.rmtree(repository / "hooks")


def _trouble(hundred: Hundred) -> None:
    fleet = hundred.fleet
    services = [{"url": f"{hundred.forge.url}/acme/{name}.git"} for name in ("in-step", "moved", "reviewed")]
    hundred.configure(services=services)
    hundred.run("--jobs", "2", exit_code=0)
    fleet.history.release(
        "0.3.0", {"owned/core.py": '"""Mended again."""\n', "notes.txt": "one\ntwo\n2.5\nthree\nfour\n"}
    )
    hundred.run("--only", "in-step", "--jobs", "1", exit_code=0)
    fleet.merge("acme/in-step")
    (merged,) = hundred.forge.open_of("acme/in-step", BRANCH)
    merged["state"] = "merged"
    fleet.push("acme/moved", "src/moved.py", "MOVED = True\n", message="On main")
    fleet.push("acme/reviewed", "seeds/api.py", "REVIEWED = True\n", branch=BRANCH, message="Review")
    fleet.push("acme/person", "owned/core.py", "PATCHED = 'in a hurry'\n")
    shutil.rmtree(fleet.repository("acme/broken") / "objects")
    (pack,) = (fleet.repository("acme/corrupt") / "objects/pack").glob("*.pack")
    pack.chmod(0o644)
    pack.write_bytes(pack.read_bytes()[:-400])
    hook = fleet.repository("acme/protected") / "hooks/pre-receive"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\necho 'You are not allowed to push code to protected branches.' >&2\nexit 1\n")
    hook.chmod(0o755)


@contextmanager
def copied(made: Made, folder: Path) -> Iterator[Hundred]:
    """The repositories as they were made, to be rolled up."""
    shutil.copytree(made.fleet.folder / "git", folder / "fleet/git", symlinks=True)
    fleet = Fleet(folder / "fleet", made.fleet.history, made.fleet.seed)
    with ExitStack() as stack:
        late = stack.enter_context(answering_late())
        forge = stack.enter_context(serving(fleet.folder / "git"))
        forge.requests, forge.archived = copy.deepcopy(made.requests), {"acme/archived"}
        hundred = Hundred(fleet, made.ordinary, forge, late, stack)
        hundred.configure()
        yield hundred


@pytest.fixture(scope="module")
def one_by_one(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hundred, dict[str, Any], str]]:
    """The repositories after one worker was at them, what it left behind, and what it said."""
    with copied(made, tmp_path_factory.mktemp("one")) as hundred:
        said = hundred.run("--jobs", "1")
        yield hundred, hundred.outcome(), said


@pytest.fixture
def hundred(made: Made, tmp_path: Path) -> Iterator[Hundred]:
    with copied(made, tmp_path) as copy_of_it:
        yield copy_of_it


def test_every_repository_comes_out_as_it_should(one_by_one: tuple[Hundred, dict[str, Any], str]) -> None:
    hundred, _, said = one_by_one
    found = {name: result.outcome for name, result in hundred.results().items()}
    assert found == {**dict.fromkeys(hundred.ordinary, TurnOutcome.PROPOSED), **TROUBLED}
    assert f"{hundred.count} services: " in said
    assert f"{len(hundred.ordinary) + 2} proposed" in said
    proposed = [*hundred.ordinary, "moved", "reviewed", "person"]
    open_ = Counter(one["project"] for one in hundred.forge.requests if one["state"] == "open")
    assert open_ == {f"acme/{name}": 1 for name in proposed}
    assert hundred.pushes() == Counter([*proposed, "archived"]) - Counter(["archived"]) | Counter(["protected"])
    reviewed = hundred.fleet.commits("acme/reviewed", f"main..{BRANCH}")
    assert reviewed == [
        "chore: update from the template, 0.1.0 to 0.3.0",
        "Review",
        "chore: update from the template, 0.1.0 to 0.2.0",
    ]
    assert hundred.fleet.show("acme/reviewed", "seeds/api.py") == "REVIEWED = True"
    assert hundred.fleet.commits("acme/moved", f"main..{BRANCH}") == ["chore: update from the template, 0.1.0 to 0.3.0"]
    assert hundred.fleet.show("acme/moved", "src/moved.py") == "MOVED = True"
    sentences = {name: hundred.results()[name].sentence for name in TROUBLED}
    assert "You are not allowed to push code to protected branches" in sentences["protected"]
    assert "403" in sentences["archived"]
    assert "403" in sentences["hanging"]
    for name in ("broken", "corrupt", "person", "protected"):
        assert (
            f"{name}: " in said.partition(f"{hundred.count}/{hundred.count}")[2]
        )  # the summary names who needs somebody


def test_a_second_run_asks_and_does_nothing_more(one_by_one: tuple[Hundred, dict[str, Any], str]) -> None:
    hundred, outcome, _ = one_by_one
    del hundred.forge.git_asked[:], hundred.forge.asked[:]
    hundred.run(
        "--jobs", "2", "--only", "s*", "--only", "moved", "--only", "in-step", "--only", "reviewed", exit_code=0
    )
    assert hundred.outcome() == outcome
    assert hundred.forge.asked == []
    services = len(hundred.ordinary) + 3
    assert Counter(asked.rpartition("/")[2] for asked in hundred.forge.git_asked) == {
        "refs": services,
        "git-upload-pack": services,
    }


def test_only_what_failed_is_tried_again_until_nothing_fails(one_by_one: tuple[Hundred, dict[str, Any], str]) -> None:
    hundred, _, _ = one_by_one
    hundred.forge.archived.clear()
    shutil.rmtree(hundred.fleet.repository("acme/protected") / "hooks")
    for name in ("broken", "corrupt"):
        shutil.rmtree(hundred.fleet.repository(f"acme/{name}"))
        shutil.copytree(hundred.fleet.repository("acme/archived"), hundred.fleet.repository(f"acme/{name}"))
    del hundred.forge.git_asked[:]
    said = hundred.run("--only-failed", "--jobs", "4")
    assert "5 services: 1 failed, 4 proposed." in said
    assert {asked.split("/")[2] for asked in hundred.forge.git_asked} == {
        f"{name}.git" for name in ("archived", "broken", "corrupt", "protected")
    }


def test_one_that_never_answers_is_given_up_when_its_time_is_over(
    one_by_one: tuple[Hundred, dict[str, Any], str],
) -> None:
    hundred, _, _ = one_by_one
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/acme/silent.git"
        hundred.configure(services=[{"url": url}], timeout_seconds=2)
        hundred.run("--jobs", "2", state=".silent")
    (result,) = hundred.results(".silent").values()
    assert result.outcome == TurnOutcome.FAILED
    assert "no answer in the time that there was" in result.sentence


def test_eight_workers_killed_at_random_and_resumed(
    hundred: Hundred, one_by_one: tuple[Hundred, dict[str, Any], str]
) -> None:
    _, expected, _ = one_by_one
    rng = random.Random(7)  # noqa: S311 - moments to kill at
    kills = hundred.count // 13  # of all that three pushes between two kills let through, some is left
    gate = hundred.forge.gate = threading.Semaphore(3)
    process = hundred.begin("--jobs", "8")
    done: dict[str, Result] = {}
    for kill in range(kills):
        wanted = len(done) + rng.randint(2, 3)
        while hundred.done() < wanted and process.poll() is None:
            time.sleep(0.02)
        if kill == 1:
            assert "Another run goes on" in hundred.run("--jobs", "1", exit_code=2)
        time.sleep(rng.uniform(0, 0.4))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        _let_through(hundred.forge, gate)
        done = hundred.results()
        assert len(done) < hundred.count
        asked = len(hundred.forge.git_asked)
        gate = hundred.forge.gate = threading.Semaphore(3)
        process = hundred.begin("--jobs", "8", "--resume")
        _settle(hundred, process, done, asked)
    hundred.forge.gate = None
    gate.release(hundred.count)
    said = process.communicate(timeout=600)[0]
    assert process.returncode == 3, said
    assert f"{hundred.count} services: " in said
    assert hundred.outcome() == expected
    twice = {name: count for name, count in hundred.pushes().items() if count > 1}
    assert sum(twice.values()) - len(twice) <= kills * 8  # a worker that was killed while it pushed


def _let_through(forge: Forge, gate: threading.Semaphore) -> None:
    """Let the forge do what the killed workers had sent, as forges do."""
    gate.release(8)
    until = time.monotonic() + 300
    while forge.connected:
        assert time.monotonic() < until
        time.sleep(0.02)


def _settle(hundred: Hundred, process: subprocess.Popen[str], done: dict[str, Result], asked: int) -> None:
    """Wait until the resumed run has done something, and assert that it leaves alone what was done."""
    while hundred.done() < len(done) + 2 and process.poll() is None:
        time.sleep(0.02)
    now = hundred.results()
    assert {name: now[name] for name in done} == done
    # What the killed workers had sent may be answered after them: so not one of the first few.
    again = {
        match[1] for line in hundred.forge.git_asked[asked + 16 :] if (match := re.search(r"/acme/(.+)\.git/", line))
    }
    assert not again & set(done)


def test_three_machines_with_a_shard_each_give_the_same(
    hundred: Hundred, one_by_one: tuple[Hundred, dict[str, Any], str]
) -> None:
    _, expected, _ = one_by_one
    states = [f"machine-{number}" for number in (1, 2, 3)]
    processes = [
        hundred.begin("--shard", f"{number}/3", "--jobs", "2", state=state)
        for number, state in enumerate(states, start=1)
    ]
    said = [process.communicate(timeout=600)[0] for process in processes]
    assert {process.returncode for process in processes} <= {0, 2, 3}, said
    shards = [set(hundred.results(state)) for state in states]
    assert sum(map(len, shards)) == len(set().union(*shards)) == hundred.count
    assert min(map(len, shards)) > hundred.count // 5
    found = hundred.outcome(*states)
    different = {name: (found.get(name), expected[name]) for name in expected if found.get(name) != expected[name]}
    assert not different


def test_two_runs_at_once_propose_nothing_twice(hundred: Hundred) -> None:
    names = hundred.ordinary[:12]
    options = [part for name in names for part in ("--only", name)]
    runs = [hundred.begin("--jobs", "2", *options, state=f"run-{number}") for number in range(2)]
    said = [run.communicate(timeout=300)[0] for run in runs]
    assert {run.returncode for run in runs} <= {0, 3}, said  # 3: the other was faster with a branch
    hundred.run("--jobs", "2", *options, state="run-0", exit_code=0)
    assert {result.outcome for result in hundred.results("run-0").values()} == {TurnOutcome.PROPOSED}
    ours = [one["project"] for one in hundred.forge.requests if one["project"].removeprefix("acme/") in names]
    assert sorted(ours) == [f"acme/{name}" for name in names]
    for name in names:
        assert len(hundred.fleet.commits(f"acme/{name}", f"main..{BRANCH}")) == 1


def test_waves_stop_when_too_many_fail(hundred: Hundred) -> None:
    waves = (
        '[[waves]]\nname = "canary"\nservices = ["broken", "s000", "s001"]\n[[waves]]\nname = "tenth"\nshare = 0.1\n'
        '[[waves]]\nname = "rest"\n'
    )
    hundred.configure(waves)
    said = hundred.run("--jobs", "2", "--check")
    assert f"Stopped after the wave canary: 1 of 3 failed. Not begun: {hundred.count - 3}." in said
    assert set(hundred.results()) == {"broken", "s000", "s001"}
    said = hundred.run("--jobs", "2", "--check", "--wave", "canary", "--max-failures", "0.5")
    assert "Stopped" not in said
    assert "3 services: 1 failed, 2 would change." in said
    said = hundred.run("--jobs", "2", "--check", "--max-failures", "0.5", "--only", "s0*", exit_code=1)
    assert "would change" in said
    assert set(hundred.results()) == {"broken", *(name for name in hundred.ordinary if name.startswith("s0"))}
