"""A rendered service with a pipeline that is executed here: its repository, and what is broken in it on purpose.

Every target is the service's own. What it asks of a registry, a cluster, a forge or a list of vulnerabilities has a
stand-in behind it: programs that are first on the PATH, and a server.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from advisories import ADVISORY, VULNERABLE, advisories
from commands import succeed
from conftest import commit, git
from environments import TEMPLATE, without_project
from tools import helm

CACHE = TEMPLATE / ".cache/pipelines"
# What a job asks of programs that would change this machine, or speak to a registry, a cluster or a forge: each notes
# how it was called, and what it was given to read. What a break refuses, it does not do.
PROGRAM = """\
#!/bin/sh
here=$(dirname "$0")
echo "$(basename "$0") $*" >>"$here/called"
case "$*" in *-stdin*) cat >>"$here/read";; esac
if grep -qx "$1" "$here/refused" 2>/dev/null; then echo "$1 is refused on purpose"; exit 1; fi
"""
PROGRAMS = ("apk", "apt-get", "buildah", "docker", "gh", "trivy")
# Of Helm, what needs a cluster.
HELM = PROGRAM + '[ "$1" = upgrade ] || exec "{helm}" "$@"\n'
SECRET = "correct-horse-battery"  # noqa: S105 - nobody's
PACKAGE = "src/my_service"
RELEASED = "1.2.3"
TAGGED = ("HEAD:refs/heads/main", f"HEAD:refs/tags/{RELEASED}")


@dataclass(frozen=True)
class Break:
    """What is done to a service so that one job fails, and what that job then says."""

    do: Callable[[Path], object]
    said: str


def break_it(service: Path, broken: Break) -> None:
    """Do it, and commit what it changed, if anything: a pipeline sees what is committed."""
    broken.do(service)
    git(service, "add", "--all")
    git(service, "commit", "--quiet", "--allow-empty", "--message", "Break it")


def append(path: str, text: str) -> Callable[[Path], object]:
    def do(service: Path) -> object:
        file = service / path
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        return file.write_text(before + text, encoding="utf-8")

    return do


def replace(path: str, old: str, new: str) -> Callable[[Path], object]:
    def do(service: Path) -> object:
        file = service / path
        before = file.read_text(encoding="utf-8")
        assert old in before
        return file.write_text(before.replace(old, new, 1), encoding="utf-8")

    return do


def refused(command: str) -> Break:
    return Break(append("../bin/refused", f"{command}\n"), f"{command} is refused on purpose")


def fails_in_make(target: str) -> Break:
    """Let `make` do nothing, and fail if `target` is what it is asked for first."""

    def do(service: Path) -> object:
        program(service.parent / "bin/make")
        return refused(target).do(service)

    return Break(do, refused(target).said)


def depend_on_what_is_vulnerable(service: Path) -> object:
    return succeed("uv", "add", "--no-sync", "--quiet", VULNERABLE, cwd=service, env=without_project())


BREAKS = {
    "lint": Break(append(f"{PACKAGE}/extra.py", "import os\n"), "F401"),
    "types": Break(append(f"{PACKAGE}/extra.py", 'NUMBER: int = "one"\n'), "Incompatible types in assignment"),
    "style": Break(append("mypy.ini", "[mypy]\n"), "mypy.ini"),
    "test": Break(append("tests/test_extra.py", "def test_extra() -> None:\n    assert not 1\n"), "assert not 1"),
    "coverage": Break(
        append(f"{PACKAGE}/extra.py", "".join(f"def f{n}() -> int:\n    return {n}\n" for n in range(60))),
        "Required test coverage of 80.0% not reached",
    ),
    "smoke": Break(append(f"{PACKAGE}/settings.py", 'print("not an event")\n'), "a line of its log is no event"),
    "build": Break(lambda service: (service / "README.md").unlink(), "README.md"),
    # A package that cannot be built cannot be installed either: this one fails in `make build` alone.
    "wheel": Break(append("project.mk", "build:\n\t@echo build is broken on purpose; exit 1\n"), "build is broken"),
    "chart": Break(append("deploy/values.production.yaml", "processes: { serve: { replica: 3 } }\n"), "replica"),
    "audit": Break(depend_on_what_is_vulnerable, ADVISORY),
    "image": refused("build"),
    "push": refused("push"),
    "scan": refused("image"),
    "sbom": Break(lambda service: (service / "uv.lock").write_text("[", encoding="utf-8"), "uv.lock"),
    "notes": Break(
        lambda service: (service / "CHANGELOG.md").write_text("# Changes\n", encoding="utf-8"),
        "CHANGELOG.md has no section: ## 1.2.3",
    ),
    "release": refused("release"),
    "deploy": refused("upgrade"),
}


def repository(service: Path, remote: str) -> Path:
    """Make `service` a repository with a locked environment, as it is when its pipeline runs, and main and a tag of it.

    What `remote` names is a bare repository beside it, for those who are told by at_the_forge().
    """
    append("CHANGELOG.md", f"\n## {RELEASED}\n\n- Faster.\n")(service)
    replace("pyproject.toml", 'version = "0.1.0"', f'version = "{RELEASED}"')(service)
    git(service, "init", "--quiet")
    git(service, "remote", "add", "origin", remote)
    succeed("make", "uv.lock", cwd=service, env=without_project())
    commit(service, "The service")
    git(service, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(service, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    git(service, "init", "--quiet", "--bare", str(forge(service)))
    push(service, *TAGGED)
    return service


def forge(service: Path) -> Path:
    """The repository that stands for the one at the forge."""
    return service.parent / "forge.git"


def push(service: Path, *refs: str) -> None:
    """Push to the forge, by force."""
    git(service, "push", "--quiet", "--force", str(forge(service)), *refs)


def copied(service: Path, folder: Path, *ignored: str) -> Path:
    """A service of its own, with its forge, in `folder`."""
    programs(folder / "bin")
    shutil.copytree(forge(service), folder / "forge.git")
    ignore = shutil.ignore_patterns(*ignored)
    return Path(shutil.copytree(service, folder / service.name, symlinks=True, ignore=ignore))


def at_the_forge(service: Path) -> dict[str, str]:
    """The variables by which git, in a job, finds the stand-in for the forge; none where a service has none."""
    if not forge(service).exists():
        return {}
    remote = git(service, "config", "remote.origin.url").strip()
    configuration = service.parent / "gitconfig"
    configuration.write_text(f'[url "{forge(service)}"]\n\tinsteadOf = {remote}\n', encoding="utf-8")
    return {"GIT_CONFIG_GLOBAL": str(configuration)}


def only_the_release_is_checked(service: Path) -> None:
    """Let `make` do nothing but check the tag, so that the order of jobs decides; `made` gets what was asked."""
    make = shutil.which("make")
    asked = 'echo "$1" >>"$(dirname "$0")/made"\n[ "$1" = release-check ] || exit 0\n'
    program(service.parent / "bin/make", f'#!/bin/sh\n{asked}exec {make} "$@"\n')


def made(service: Path) -> set[str]:
    """The targets that jobs asked for, since only_the_release_is_checked()."""
    return set((service.parent / "bin/made").read_text(encoding="utf-8").split())


def release_another_version(service: Path) -> None:
    """What the tag is on says another version."""
    replace("pyproject.toml", f'version = "{RELEASED}"', 'version = "1.2.2"')(service)
    git(service, "commit", "--quiet", "--all", "--message", "Still the last one")
    push(service, *TAGGED)


def release_what_was_never_merged(service: Path) -> None:
    """The tag is on a commit that is not on main, wherever else something is called main."""
    git(service, "commit", "--quiet", "--allow-empty", "--message", "In a hurry")
    git(service, "update-ref", "refs/remotes/origin/main", "HEAD")
    push(service, f"HEAD:refs/tags/{RELEASED}", "HEAD:refs/tags/main", "HEAD:refs/heads/hotfix/main")


def move_the_tag(service: Path) -> None:
    """The tag is on another commit than the one that the pipeline is of."""
    git(service, "commit", "--quiet", "--allow-empty", "--message", "One more thing")
    push(service, *TAGGED)
    git(service, "reset", "--quiet", "--hard", "HEAD~1")


BREAKS["version"] = Break(release_another_version, "says version 1.2.2")
# Tags that must end their pipeline in its first job.
WRONG_TAGS = {
    "of another version": Break(release_another_version, "says version 1.2.2"),
    "off main": Break(release_what_was_never_merged, "which is not on main:"),
    "that was moved": Break(move_the_tag, "the tag was moved"),
}


def programs(folder: Path) -> Path:
    """Write the programs into `folder`, which a job has first on its PATH."""
    folder.mkdir()
    for name in PROGRAMS:
        program(folder / name)
    program(folder / "helm", HELM.format(helm=helm()))
    return folder


def program(path: Path, text: str = PROGRAM) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def surroundings(folder: Path) -> dict[str, str]:
    """The environment of a program that executes a pipeline, with `folder` first on the PATH."""
    return {**without_project(), "PATH": f"{folder}:{os.environ['PATH']}"}


@cache
def osv() -> dict[str, str]:
    """The variables of a list of vulnerabilities, which is there as long as this process."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(advisories())


def shared() -> dict[str, str]:
    """What makes a job as fast as one with a warm cache, and its list of vulnerabilities.

    The chassis' own tests run elsewhere.
    """
    return {
        **osv(),
        "UV_CACHE_DIR": succeed("uv", "cache", "dir").strip(),
        "MYPY_CACHE_DIR": str(CACHE / "mypy"),
    }
