"""Many services: one bad one never stops the others, and whatever the order, the result is the same."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from children import child
from conftest import commit, git
from fleets import BRANCH, Fleet
from twelvefold.fleet.results import Results, TurnOutcome


def forbid_pushes(repository: Path) -> None:
    hook = repository / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'You are not allowed to push code to protected branches.' >&2\nexit 1\n")
    hook.chmod(0o755)


def trees(fleet: Fleet) -> dict[str, str]:
    """The tree of the request's branch of every repository that has one."""
    return {
        path.stem: git(path, "rev-parse", f"{BRANCH}^{{tree}}").strip()
        for path in sorted((fleet.folder / "git").glob("*.git"))
        if BRANCH in fleet.branches(path.stem)
    }


def begun(fleet: Fleet, *options: str) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """A rollup of the fleet in a process of its own, for as long as the block lasts."""
    command = [str(Path(sys.executable).parent / "twelvefold"), "fleet", "rollup", "--jobs", "1", *options]
    where = ["--fleet", str(fleet.folder / "fleet.toml")]
    return child(*command, *where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_one_bad_repository_never_stops_the_others(fleet: Fleet) -> None:
    fleet.add("a", "broken", "c", "protected", "e")
    shutil.rmtree(fleet.repository("broken") / "objects")
    forbid_pushes(fleet.repository("protected"))
    git(fleet.folder, "init", "--quiet", "--bare", "git/empty.git")
    results = fleet.rollup("--max-failures", "1", exit_code=3)
    outcomes = {name: result.outcome for name, result in results.items()}
    assert outcomes == {
        "a": TurnOutcome.PROPOSED,
        "broken": TurnOutcome.FAILED,
        "c": TurnOutcome.PROPOSED,
        "e": TurnOutcome.PROPOSED,
        "empty": TurnOutcome.FAILED,
        "protected": TurnOutcome.FAILED,
    }
    assert "Let the token's user push" in results["protected"].sentence
    assert results["empty"].sentence == "The repository is empty, or has no main branch."


def test_a_repository_that_no_template_made_needs_a_person(fleet: Fleet) -> None:
    other = fleet.folder / "other"
    other.mkdir()
    (other / "README.md").write_text("# Another\n")
    commit(other, "Another")
    git(fleet.folder, "clone", "--quiet", "--bare", "other", "git/other.git")
    result = fleet.rollup(exit_code=2)["other"]
    assert result.outcome is TurnOutcome.PERSON
    assert "twelvefold adopt" in result.sentence


@pytest.mark.slow
def test_the_result_is_the_same_with_many_workers(fleet: Fleet) -> None:
    names = [f"s{number}" for number in range(6)]
    fleet.add(*names)
    fleet.push("s3", "seeds/api.py", "OURS = True\n")
    fleet.run("rollup", "--jobs", "4")
    side_by_side = trees(fleet)
    for name in names:
        git(fleet.repository(name), "update-ref", "-d", f"refs/heads/{BRANCH}")
    shutil.rmtree(fleet.folder / ".fleet")
    fleet.run("rollup", "--jobs", "1")
    assert trees(fleet) == side_by_side
    assert len(side_by_side) == len(names)


def test_shards_do_each_service_once(fleet: Fleet) -> None:
    names = [f"s{number}" for number in range(7)]
    fleet.add(*names)
    done: list[str] = []
    for shard in ("1/3", "2/3", "3/3"):
        before = set(trees(fleet))
        fleet.rollup("--shard", shard)
        done += set(trees(fleet)) - before
    assert sorted(done) == names


def test_waves_go_one_after_the_other_and_stop_when_one_fails(fleet: Fleet) -> None:
    fleet.add("canary-1", "canary-2", "rest-1", "rest-2")
    fleet.configure('[[waves]]\nname = "canary"\nservices = ["canary-*"]\n[[waves]]\nname = "rest"\n')
    shutil.rmtree(fleet.repository("canary-2") / "objects")
    said = fleet.run("rollup", "--jobs", "1", exit_code=3)
    assert "Stopped after the wave canary: 1 of 2 failed." in said
    assert set(fleet.results()) == {"canary-1", "canary-2"}
    fleet.run("rollup", "--jobs", "1", "--wave", "rest")
    assert set(fleet.results()) == {"canary-1", "canary-2", "rest-1", "rest-2"}


def test_a_canary_is_those_that_name_it_for_rollups_and_commands(fleet: Fleet) -> None:
    fleet.add("a", "b", "c")
    services = [{"url": "git/a.git", "wave": "canary"}, {"url": "git/*.git"}]
    fleet.configure('[[waves]]\nname = "canary"\n[[waves]]\nname = "rest"\n', services=services)
    command = ("run", "--jobs", "1", "--branch", "chore/more", "--wave", "canary")
    fleet.run(*command, "--", "sh", "-c", "echo more >>notes.txt")
    assert [name for name in "abc" if "chore/more" in fleet.branches(name)] == ["a"]
    fleet.rollup("--wave", "canary")
    assert set(trees(fleet)) == {"a"}
    fleet.rollup()
    assert set(trees(fleet)) == {"a", "b", "c"}


@pytest.mark.parametrize("command", [("rollup",), ("rollup", "--check"), ("run", "--branch", "x", "--", "true")])
def test_waves_that_prove_nothing_are_refused_before_anybody_is_asked(command: tuple[str, ...], fleet: Fleet) -> None:
    fleet.add("a", "b")
    fleet.configure('[[waves]]\nname = "canary"\nservices = ["a", "aa"]\n[[waves]]\nname = "rest"\n')
    assert "'aa' in the wave canary names no service" in fleet.run(command[0], "--jobs", "1", *command[1:], exit_code=2)
    fleet.configure('[[waves]]\nname = "canary"\nservices = ["a"]\n')
    assert "1 service is in no wave" in fleet.run(command[0], "--jobs", "1", *command[1:], exit_code=2)
    assert fleet.results() == {}
    assert not (fleet.folder / ".fleet/clones").exists()


def test_only_what_failed_is_tried_again(fleet: Fleet) -> None:
    fleet.add("a", "b")
    forbid_pushes(fleet.repository("b"))
    fleet.rollup(exit_code=3)
    (fleet.repository("b") / "hooks/pre-receive").unlink()
    said = fleet.run("rollup", "--jobs", "1", "--only-failed")
    assert "1 services: 1 proposed." in said
    assert set(trees(fleet)) == {"a", "b"}


def test_only_some_names(fleet: Fleet) -> None:
    fleet.add("pay-1", "pay-2", "mail")
    assert set(fleet.rollup("--only", "pay-*")) == {"pay-1", "pay-2"}
    assert "--only nothing* names no service" in fleet.run("rollup", "--only", "nothing*", exit_code=2)


@pytest.mark.slow
def test_what_was_killed_goes_on(fleet: Fleet) -> None:
    names = [f"s{number}" for number in range(8)]
    fleet.add(*names)
    with begun(fleet) as process:
        deadline = time.monotonic() + 60
        while len(fleet.results()) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    before = fleet.results()
    assert 3 <= len(before) < len(names)
    after = fleet.rollup()
    assert set(after) == set(names)
    assert {result.outcome for result in after.values()} == {TurnOutcome.PROPOSED}
    for name, result in before.items():
        assert after[name].proposal == result.proposal
    assert all(len(fleet.commits(name, BRANCH)) == 2 for name in names)


@pytest.mark.slow
def test_two_runs_at_once_do_nothing_twice(fleet: Fleet) -> None:
    names = [f"s{number}" for number in range(4)]
    fleet.add(*names)
    first, second = (begun(fleet, "--state", str(fleet.folder / f"state{number}")) for number in range(2))
    with first as one, second as other:
        runs = [one, other]
        said = [run.communicate(timeout=120)[0] for run in runs]
    assert {run.returncode for run in runs} <= {0, 3}, said  # 3: the other was faster with a branch
    fleet.rollup()
    assert all(len(fleet.commits(name, BRANCH)) == 2 for name in names)


def test_a_second_run_on_the_same_state_waits_its_turn(fleet: Fleet) -> None:
    fleet.add("a")
    from filelock import FileLock

    with FileLock(fleet.folder / ".fleet.lock"):
        assert "Another run goes on" in fleet.run("rollup", "--jobs", "1", exit_code=2)


def test_any_command_in_each_repository(fleet: Fleet) -> None:
    fleet.add("a", "b")
    run = ("run", "--jobs", "1", "--branch", "chore/mend", "--title", "chore: mend")
    said = fleet.run(*run, "--", "sh", "-c", "echo more >>notes.txt")
    assert "2 services: 2 proposed." in said
    assert fleet.commits("a", "chore/mend") == ["chore: mend", "Rendered"]
    assert fleet.show("a", "notes.txt", "chore/mend").endswith("more")
    assert "1 file changed." in fleet.run(*run, "--", "sh", "-c", "echo more >>notes.txt")
    assert fleet.commits("a", "chore/mend") == ["chore: mend", "Rendered"]
    assert "a: failed. sh ended with 7: no luck" in fleet.run(
        *run, "--", "sh", "-c", "echo no luck; exit 7", exit_code=3
    )
    assert fleet.run(*run, "--check", "--", "true").count("in step") == 3


def test_status_tells_each_service(fleet: Fleet) -> None:
    fleet.add("a", "b")
    assert "a        ?        not looked at yet" in fleet.run("status")
    assert "To look: twelvefold fleet rollup --check" in fleet.run("status")
    unknown = json.loads(fleet.run("status", "--json"))
    fleet.rollup()
    assert "a        0.1.0    proposed         2 files" in fleet.run("status")
    told = json.loads(fleet.run("status", "--json"))
    assert [one["outcome"] for one in told] == ["proposed", "proposed"]
    assert unknown[0].keys() == told[0].keys()


def test_a_result_that_cannot_be_read_is_looked_up_again(fleet: Fleet) -> None:
    fleet.add("a")
    fleet.rollup()
    for path in (fleet.folder / ".fleet/results").iterdir():
        path.write_text("{", encoding="utf-8")
    assert fleet.rollup()["a"].outcome is TurnOutcome.PROPOSED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("template = 1", "template: input should be a valid string"),
        ('template = "x"', "lists no service; add [[services]]"),
        ('template = "x"\nservices = [{ url = "a", nme = "b" }]', "services[0].nme: is not known here"),
        ('template = "https://u:secret@x/y"\nservices = [{ url = "a" }]', "template: holds a token or a password"),
        ('template = "x"\nservices = [{ url = "a", wave = "b" }]', "has no wave b; it has all"),
        ('template = "x"\n[forge]\nkind = "gitlab"\ntoken = "glpat-abc"', "forge.token: is taken no more"),
        ("template", "is no TOML"),
        ('template = "x"\nservices = [{ url = "nothing/*.git" }]', "The pattern nothing/*.git finds no repository"),
    ],
)
def test_a_fleet_file_that_cannot_be_used_is_told(text: str, said: str, fleet: Fleet) -> None:
    (fleet.folder / "fleet.toml").write_text(text, encoding="utf-8")
    output = fleet.run("rollup", "--jobs", "1", exit_code=2)
    assert said in output
    assert "secret" not in output
    assert "glpat" not in output


def test_results_of_another_version_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"name": "a"}', encoding="utf-8")
    assert list(Results(tmp_path).all()) == []
