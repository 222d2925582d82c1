"""The Jenkinsfile, executed by a stand-in for Jenkins on the Groovy that Jenkins has inside (jenkins.groovy).

It was not executed by Jenkins: agents, credentials, containers and input are the stand-in's.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from answers import label
from commands import Done, run
from conftest import Render
from desk import (
    BREAKS,
    SECRET,
    TAGGED,
    WRONG_TAGS,
    append,
    break_it,
    copied,
    forge,
    made,
    only_the_release_is_checked,
    program,
    programs,
    push,
    repository,
    shared,
    surroundings,
)
from required import require_program

pytestmark = pytest.mark.slow

STAND_IN = Path(__file__).parent / "jenkins.groovy"
CHECKED = {"Install", "lint", "types", "style", "test", "build", "chart", "audit"}
SHIPPED = {*CHECKED, "publish", "scan"}
TAG = {"BRANCH_NAME": "1.2.3", "TAG_NAME": "1.2.3"}
EVENTS = {
    "a pull request": ({"BRANCH_NAME": "PR-7", "CHANGE_ID": "7"}, CHECKED),
    "a feature branch": ({"BRANCH_NAME": "feature/x"}, CHECKED),
    "a schedule": ({"BRANCH_NAME": "main", "CAUSE": "TimerTrigger"}, CHECKED),
    "main": ({"BRANCH_NAME": "main"}, {*SHIPPED, "staging"}),
    "develop": ({"BRANCH_NAME": "develop"}, SHIPPED),
    "a release branch": ({"BRANCH_NAME": "release/1.2"}, SHIPPED),
    "a tag": (TAG, {*SHIPPED, "release-check", "notes", "production"}),
    "another tag": ({"BRANCH_NAME": "x", "TAG_NAME": "x"}, CHECKED),
    "a tag that is called main": ({"BRANCH_NAME": "main", "TAG_NAME": "main"}, CHECKED),
    "a branch that is called like a tag": ({"BRANCH_NAME": "1.2.3"}, CHECKED),
}
BROKEN = {
    "release-check": "version",
    "lint": "lint",
    "types": "types",
    "style": "style",
    "test": "test",
    "build": "wheel",
    "chart": "chart",
    "audit": "audit",
    "publish": "push",
    "scan": "scan",
    "notes": "notes",
    "staging": "deploy",
    "production": "deploy",
}


# A virtual machine that lives for seconds gains nothing by optimizing.
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def jenkins(service: Path, **variables: str) -> Done:
    """Run the pipeline of `service`, as Jenkins would with these variables."""
    java = require_program("java").resolve().parents[1]
    given = {"REGISTRY": "registry.example.com", "GIT_COMMIT": "c0ffee", "REGISTRY_USER": "robot", **shared()}
    secrets = {"REGISTRY_PASSWORD": SECRET, "KUBECONFIG": SECRET}
    given |= {"REPOSITORY": str(forge(service)), "WORKSPACE_TMP": str(service.parent / "workspace@tmp")}
    given |= {"JAVA_HOME": str(java), "JAVA_OPTS": SHORT_LIVED}
    environment = {**surroundings(service.parent / "bin"), **given, **secrets, **variables}
    return run(require_program("groovy"), STAND_IN, cwd=service, env=environment)


def outcomes(done: Done) -> dict[str, str]:
    """Each stage that ran → ok or failed."""
    return dict(re.findall(r"^STAGE (\S+) (ok|failed)$", done.stdout, re.MULTILINE))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, rendered: Render) -> Path:
    folder = tmp_path_factory.mktemp("jenkins")
    programs(folder / "bin")
    copy = shutil.copytree(rendered(ci="jenkins"), folder / "my-service")
    return repository(Path(copy), "git@github.com:my-team/my-service.git")


@pytest.fixture
def copy(service: Path, tmp_path: Path) -> Path:
    return copied(service, tmp_path)


def without_make(service: Path) -> Path:
    """Let `make` do nothing, so that only the pipeline's conditions decide."""
    program(service.parent / "bin/make")
    for path in ("dist/tests.xml", "dist/notes.md"):
        append(path, "")(service)
    return service


@pytest.mark.parametrize("event", EVENTS)
def test_which_stages_run(event: str, copy: Path) -> None:
    (copy / "dist").mkdir()
    variables, stages = EVENTS[event]
    done = jenkins(without_make(copy), **variables)
    assert outcomes(done) == dict.fromkeys(stages, "ok"), done.stdout + done.stderr
    assert ("INPUT production" in done.stdout) == ("production" in stages)
    assert ("CRON 'H 4 * * *'" in done.stdout) == (variables["BRANCH_NAME"] == "main")


def test_on_main_every_stage_passes_with_what_the_team_added(copy: Path) -> None:
    append("project.groovy", "def check() { sh 'echo ours' }\ndef ship() { check() }\nreturn this\n")(copy)
    variables, stages = EVENTS["main"]
    done = jenkins(copy, **variables)
    assert outcomes(done) == dict.fromkeys({*stages, "project"}, "ok"), done.stdout + done.stderr
    assert done.stdout.count("\nours\n") == 2
    assert (copy.parent / "bin/read").read_text(encoding="utf-8") == f"{SECRET}\n"
    assert SECRET not in done.stdout + done.stderr
    called = (copy.parent / "bin/called").read_text(encoding="utf-8")
    assert "docker push registry.example.com/my-team/my-service:c0ffee\n" in called
    assert "deploy/values.staging.yaml --set-string image.tag=c0ffee " in called


@pytest.mark.deep  # GitLab's and GitHub's jobs fail by the same targets of make
@pytest.mark.parametrize("stage", BROKEN)
def test_what_is_broken_fails_in_its_stage(stage: str, copy: Path) -> None:
    broken = BREAKS[BROKEN[stage]]
    break_it(copy, broken)
    push(copy, *TAGGED)
    leave_out(copy, sorted(CHECKED - {stage, "Install"}))
    done = jenkins(copy, **EVENTS["a tag" if stage in {"release-check", "notes", "production"} else "main"][0])
    assert done.returncode == 1, done.stderr
    assert outcomes(done).get(stage) == "failed", done.stdout + done.stderr
    assert [other for other, outcome in outcomes(done).items() if outcome == "failed"] == [stage], done.stdout
    assert broken.said in done.stdout


def leave_out(service: Path, stages: list[str]) -> None:
    """Take away what checks, which takes long, except what is asked about."""
    jenkinsfile = service / "Jenkinsfile"
    text = jenkinsfile.read_text(encoding="utf-8")
    for stage in stages:
        text = re.sub(
            rf"(stage\('{stage}'\) \{{\s+steps \{{ )[^}}]*", r"\1sh 'mkdir -p dist; touch dist/tests.xml' ", text
        )
    jenkinsfile.write_text(text, encoding="utf-8")


def test_nothing_is_shipped_when_a_check_failed(copy: Path) -> None:
    BREAKS["chart"].do(copy)
    leave_out(copy, ["lint", "types", "style", "test", "build", "audit"])
    done = jenkins(copy, **EVENTS["main"][0])
    assert outcomes(done) == {**dict.fromkeys(CHECKED, "ok"), "chart": "failed"}, done.stdout


@pytest.mark.parametrize("answers", [{"database": True}, {"tasks": True}, {"database": True, "tasks": True}], ids=label)
def test_it_parses_and_runs_with_every_set_of_capabilities(
    answers: dict[str, str | bool], rendered: Render, tmp_path: Path
) -> None:
    programs(tmp_path / "bin")
    service = Path(shutil.copytree(rendered(**answers, ci="jenkins"), tmp_path / "my-service"))
    repository(service, "git@github.com:my-team/my-service.git")
    (service / "dist").mkdir()
    done = jenkins(without_make(service), **EVENTS["a tag"][0])
    assert outcomes(done) == dict.fromkeys(EVENTS["a tag"][1], "ok"), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("  stages {", "  stages {{", "startup failed"),
        ("agent none", "agnet none", "agnet"),
        ("sh 'make scan sbom'", "hs 'make scan sbom'", "hs"),
        ("when { branch 'main' }", "when { brnach 'main' }", "brnach"),
    ],
)
def test_what_is_no_pipeline_is_refused(right: str, wrong: str, said: str, copy: Path) -> None:
    (copy / "dist").mkdir()
    jenkinsfile = copy / "Jenkinsfile"
    text = jenkinsfile.read_text(encoding="utf-8")
    assert right in text
    jenkinsfile.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    done = jenkins(without_make(copy), **EVENTS["main"][0])
    assert done.returncode != 0
    assert said in done.stdout + done.stderr


def ready(service: Path) -> Path:
    """Let `make` do nothing but check the tag, and have what it would have made."""
    only_the_release_is_checked(service)
    (service / "dist").mkdir()
    for path in ("dist/tests.xml", "dist/notes.md"):
        append(path, "")(service)
    return service


def test_a_tag_on_main_starts_all_of_its_stages(copy: Path) -> None:
    done = jenkins(ready(copy), **TAG)
    assert outcomes(done) == dict.fromkeys(EVENTS["a tag"][1], "ok"), done.stdout + done.stderr
    assert done.stdout.count("+ make release-check\n") == 2


@pytest.mark.parametrize("wrong", WRONG_TAGS)
def test_a_wrong_tag_ends_its_build_before_anything_else_begins(wrong: str, copy: Path) -> None:
    append("project.groovy", "def check() { sh 'make ours' }\ndef ship() { check() }\nreturn this\n")(ready(copy))
    WRONG_TAGS[wrong].do(copy)
    done = jenkins(copy, **TAG)
    assert done.returncode == 1
    assert outcomes(done) == {"release-check": "failed"}, done.stdout + done.stderr
    assert WRONG_TAGS[wrong].said in done.stdout
    assert made(copy) == {"release-check"}


def test_the_branch_that_releases_are_made_from_can_be_another(copy: Path) -> None:
    WRONG_TAGS["off main"].do(ready(copy))
    push(copy, "HEAD:refs/heads/trunk")
    assert outcomes(jenkins(copy, **TAG)) == {"release-check": "failed"}
    done = jenkins(copy, **TAG, DEFAULT_BRANCH="trunk")
    assert outcomes(done) == dict.fromkeys(EVENTS["a tag"][1], "ok"), done.stdout + done.stderr


def test_what_an_earlier_build_fetched_does_not_count(copy: Path) -> None:
    jenkins(ready(copy), **TAG)
    push(copy, ":refs/tags/1.2.3")
    done = jenkins(copy, **TAG)
    assert outcomes(done) == {"release-check": "failed"}, done.stdout
