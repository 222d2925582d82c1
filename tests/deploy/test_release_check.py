"""The check of a tag, run by make in clones such as pipelines have, beside a forge that has the tag."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from commands import Done, run
from conftest import Render, commit, git
from environments import SERVICE, without_project

SCRIPT = SERVICE / "deploy/release_check.py"
PYPROJECT = '[project]\nname = "my-service"\nversion = "1.2.3"\n'
PASSWORD = "correct-horse-battery"  # noqa: S105 - nobody's


@dataclass(frozen=True)
class Forge:
    """A bare repository that has main, and a developer's clone of it."""

    bare: Path
    desk: Path

    def commit(self, pyproject: str = PYPROJECT) -> str:
        """Commit on what the desk is on; return the commit."""
        (self.desk / "pyproject.toml").write_text(pyproject, encoding="utf-8")
        git(self.desk, "add", "--all")
        git(self.desk, "commit", "--quiet", "--allow-empty", "--message", "More")
        return git(self.desk, "rev-parse", "HEAD").strip()

    def tag(self, name: str = "1.2.3", *options: str) -> None:
        git(self.desk, "tag", "--force", *options, name)
        git(self.desk, "push", "--quiet", "--force", "origin", f"refs/tags/{name}")

    def push(self, branch: str = "main") -> None:
        git(self.desk, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")

    def clone(self, *options: str, name: str = "1.2.3", at: str = "job") -> Path:
        """What a job has: one tag of a shallow clone, unless `options` say more."""
        where = self.desk.parent / at
        chosen = options or ("--depth=1",)
        git(self.desk.parent, "clone", "--quiet", *chosen, "--branch", name, f"file://{self.bare}", str(where))
        return where


@pytest.fixture
def forge(rendered: Render, tmp_path: Path) -> Forge:
    bare, desk = tmp_path / "forge.git", tmp_path / "desk"
    git(tmp_path, "init", "--quiet", "--bare", str(bare))
    desk.mkdir()
    shutil.copy(rendered() / "Makefile", desk)
    (desk / "deploy").mkdir()
    shutil.copy(SCRIPT, desk / "deploy")
    (desk / "pyproject.toml").write_text(PYPROJECT.replace("1.2.3", "1.0.0"), encoding="utf-8")
    commit(desk, "The first")
    git(desk, "remote", "add", "origin", str(bare))
    made = Forge(bare, desk)
    made.push()
    made.commit()
    made.push()
    return made


def check(clone: Path, tag: str = "1.2.3", **variables: str) -> Done:
    return run("make", "release-check", cwd=clone, env={**without_project(), "TAG": tag, **variables})


def passes(clone: Path, tag: str = "1.2.3", **variables: str) -> None:
    done = check(clone, tag, **variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def refused(clone: Path, *said: str, tag: str = "1.2.3", **variables: str) -> None:
    """It is refused, by these words, and by nothing that looks like an accident."""
    done = check(clone, tag, **variables)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for words in said:
        assert words in done.stderr


def off_main(forge: Forge) -> None:
    git(forge.desk, "switch", "--quiet", "--create", "hotfix/1.2")
    forge.commit()


# What is right ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--annotate", "--message", "Ours"]], ids=["lightweight", "annotated"])
@pytest.mark.parametrize("depth", [["--depth=1"], ["--depth=3", "--no-single-branch"], ["--no-local"]], ids=str)
def test_the_version_on_main_passes_in_any_clone(options: list[str], depth: list[str], forge: Forge) -> None:
    forge.tag("1.2.3", *options)
    forge.commit(PYPROJECT.replace("1.2.3", "1.3.0.dev0"))
    forge.push()
    clone = forge.clone(*depth)
    before = git(clone, "for-each-ref") + git(clone, "config", "--local", "--list")
    passes(clone)
    assert git(clone, "for-each-ref") + git(clone, "config", "--local", "--list") == before


def test_what_was_merged_is_on_main(forge: Forge) -> None:
    off_main(forge)
    forge.tag()
    git(forge.desk, "switch", "--quiet", "main")
    forge.commit()
    git(forge.desk, "merge", "--quiet", "--no-edit", "hotfix/1.2")
    forge.push()
    passes(forge.clone())


def test_the_remote_s_head_names_the_branch_or_the_forge_does(forge: Forge) -> None:
    forge.push("trunk")
    forge.commit()
    forge.push("trunk")
    forge.tag()
    clone = forge.clone()
    refused(clone, "which is not on main:")
    passes(clone, DEFAULT_BRANCH="trunk")
    git(forge.bare, "symbolic-ref", "HEAD", "refs/heads/trunk")
    passes(clone)
    refused(clone, "origin has no branch develop", "DEFAULT_BRANCH=main", DEFAULT_BRANCH="develop")
    git(forge.bare, "symbolic-ref", "HEAD", "refs/heads/nowhere")
    refused(clone, "origin has no branch", "DEFAULT_BRANCH=main")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tag", "version"), [("v1.2.3", "1.2.3"), ("1.0.0-rc.1", "1.0.0rc1"), ("1.2.0", "1.2"), ("1.2.3", "1.2.3.dev1")]
)
def test_a_tag_may_spell_its_version_otherwise(tag: str, version: str, forge: Forge) -> None:
    forge.commit(PYPROJECT.replace("1.2.3", version))
    forge.push()
    forge.tag(tag)
    clone = forge.clone(name=tag)
    if Version(tag) == Version(version):
        passes(clone, tag)
    else:
        refused(clone, f"says version {version}", tag=tag)


# What is not ------------------------------------------------------------------------------------------------------


def test_another_version_is_refused_with_what_to_type(forge: Forge) -> None:
    forge.tag("1.3.0")
    said = ("says version 1.2.3", "under the name 1.3.0", "git push --delete origin 1.3.0", "uv version 1.3.0")
    refused(forge.clone(name="1.3.0"), *said, tag="1.3.0")


def test_what_was_never_merged_is_refused(forge: Forge) -> None:
    off_main(forge)
    forge.tag()
    for depth in ("--depth=1", "--no-local"):
        refused(forge.clone(depth, at=depth), "which is not on main:", "git push --delete origin 1.2.3")


def spoof(forge: Forge) -> None:
    """A tag called main at the forge, on what was never merged."""
    forge.tag("main")


def spoof_locally(forge: Forge) -> None:
    """A clone whose own main and origin/main have it."""
    for ref in ("refs/heads/main", "refs/remotes/origin/main", "refs/tags/main"):
        git(forge.desk.parent / "job", "update-ref", ref, "HEAD")


def test_nothing_else_called_main_stands_for_the_branch(forge: Forge) -> None:
    off_main(forge)
    forge.tag()
    spoof(forge)
    clone = forge.clone("--no-local")
    spoof_locally(forge)
    refused(clone, "which is not on main:")
    refused(clone, "which is not on main:", DEFAULT_BRANCH="main")


def test_a_commit_that_left_main_is_refused(forge: Forge) -> None:
    """Of a clone that is older than the forced push that took it away."""
    forge.tag()
    clone = forge.clone("--no-local")
    passes(clone)
    git(forge.desk, "reset", "--quiet", "--hard", "HEAD~1")
    git(forge.desk, "push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
    refused(clone, "which is not on main:")


def test_a_tag_that_was_moved_or_taken_back_is_refused(forge: Forge) -> None:
    forge.tag()
    clone = forge.clone()
    forge.commit()
    forge.push()
    forge.tag("1.2.3", "--annotate", "--message", "Moved")
    refused(clone, "the tag was moved")
    git(forge.desk, "push", "--quiet", "--delete", "origin", "1.2.3")
    refused(clone, "origin has no tag 1.2.3")


def test_a_branch_called_like_a_tag_is_none(forge: Forge) -> None:
    forge.push("1.2.3")
    refused(forge.clone(), "origin has no tag 1.2.3")


@pytest.mark.parametrize(
    "tag",
    [
        "nightly",
        "1.2.3'; touch ours; '",
        "1.2.3$(touch${IFS}ours)",
        "1.2.3$(shell touch ours)",
        "\N{FULLWIDTH DIGIT ONE}.2.3",
    ],
)
def test_what_is_no_version_is_refused_and_not_executed(tag: str, forge: Forge) -> None:
    refused(forge.desk, "is no version such as 1.2.3", tag=tag)
    assert not (forge.desk / "ours").exists()


@pytest.mark.parametrize(
    ("pyproject", "said"),
    [
        ('[project]\nname = "a"\ndynamic = ["version"]\n', 'dynamic = ["version"]'),
        ('[tool.poetry]\nversion = "1.2.3"\n', "no version under [project]"),
        ("project = 1\n", "no version under [project]"),
        ("[project\n", "pyproject.toml cannot be read"),
    ],
)
def test_a_version_that_stands_nowhere_is_said(pyproject: str, said: str, forge: Forge) -> None:
    forge.commit(pyproject)
    forge.push()
    forge.tag()
    refused(forge.clone(), said)


def test_no_tag_no_remote_no_git_is_a_refusal(forge: Forge, tmp_path: Path) -> None:
    forge.tag()
    clone = forge.clone()
    refused(clone, "TAG=1.2.3", tag="")
    git(clone, "remote", "set-url", "origin", f"file://robot:{PASSWORD}@{tmp_path}/gone")
    refused(clone, "The tag cannot be checked, and so it is not shipped")
    assert PASSWORD not in check(clone, REMOTE=f"https://robot:{PASSWORD}@127.0.0.1:1/gone").stderr
    without_git = {"TAG": "1.2.3", "PATH": str(tmp_path / "nothing")}
    done = run(sys.executable, "deploy/release_check.py", cwd=clone, env=without_git)
    assert (done.returncode, done.stdout) == (2, "")
    assert "git is needed" in done.stderr


def test_what_the_clone_knows_of_its_remote_is_used(forge: Forge) -> None:
    """A runner writes an address with a token, or a rewriting of one, into the clone's own configuration."""
    forge.tag()
    forge.commit()
    forge.push()
    clone = forge.clone()
    git(clone, "remote", "set-url", "origin", "https://git.example.com/my-team/my-service.git")
    git(clone, "config", f"url.file://{forge.bare}.insteadOf", "https://git.example.com/my-team/my-service.git")
    passes(clone)


# Versions ---------------------------------------------------------------------------------------------------------


def canonical() -> Callable[[str], object]:
    spec = importlib.util.spec_from_file_location("release_check", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[[str], object] = module.canonical
    return function


NUMBER = st.sampled_from(["0", "1", "01", "2", "10"])
SEPARATOR = st.sampled_from(["", ".", "-", "_"])


def part(*words: str) -> st.SearchStrategy[str]:
    number = st.one_of(st.just(""), NUMBER)
    return st.one_of(st.just(""), st.builds("{}{}{}{}".format, SEPARATOR, st.sampled_from(words), SEPARATOR, number))


versions = st.builds(
    "{}{}{}{}{}{}{}".format,
    st.sampled_from(["", "v", "V"]),
    st.sampled_from(["", "0!", "1!"]),
    st.lists(NUMBER, min_size=1, max_size=4).map(".".join),
    part("a", "b", "c", "rc", "ALPHA", "beta", "pre", "preview", "RC"),
    st.one_of(part("post", "rev", "r"), NUMBER.map("-{}".format)),
    part("dev"),
    st.sampled_from(["", "+abc", "+Abc.1", "+abc-01", "+1", "+a_0"]),
)


def packaging_s(version: str) -> Version | None:
    try:
        return Version(version)
    except InvalidVersion:
        return None


@given(versions, versions)
@example("1.0.0-rc.1", "1.0.0rc1")
@example("1.0-1", "1.0.post1")
@example("1.0", "1.0.0")
@example("1.0a", "1.0.dev0")
def test_two_spellings_are_one_version_as_packaging_has_it(one: str, other: str) -> None:
    told = canonical()
    for version in (one, other):
        assert (told(version) is None) == (packaging_s(version) is None), version
    if told(one) is not None and told(other) is not None:
        assert (told(one) == told(other)) == (packaging_s(one) == packaging_s(other))


@given(versions)
def test_a_version_and_its_normal_form_are_the_same(version: str) -> None:
    told = canonical()
    if found := packaging_s(version):
        assert told(version) == told(str(found))


@given(st.text(alphabet="0123456789.abcdevrpost-_+!v \n\N{FULLWIDTH DIGIT ONE}\N{KELVIN SIGN}", max_size=12))
def test_any_text_is_a_version_or_none_as_packaging_has_it(text: str) -> None:
    assert (canonical()(text) is None) == (packaging_s(text) is None or text != text.strip())
