"""Refuse a tag that would ship the wrong thing: `make release-check TAG=1.2.3`, the first job of a tag's pipeline.

The tag must be the version in pyproject.toml, and its commit must be on the default branch. The second is asked of the
remote, because the clone of a job is often shallow, may be old, and may have a tag that is called like the branch.

Reads TAG, REMOTE (origin, if it is not set) and DEFAULT_BRANCH (the branch that the remote's HEAD names, if it is not
set) from the environment. Needs git and Python 3.11, and nothing else.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NoReturn

# Of PEP 440, with all that it allows beside the normal form: 1.0.0-rc.1 is 1.0.0rc1.
VERSION = re.compile(
    r"""
    v?((?P<epoch>[0-9]+)!)?
    (?P<release>[0-9]+(\.[0-9]+)*)
    ([-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>[0-9]*))?
    (-(?P<post_alone>[0-9]+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_number>[0-9]*))?
    ([-_.]?(?P<dev>dev)[-_.]?(?P<dev_number>[0-9]*))?
    (\+(?P<local>[a-z0-9]+([-_.][a-z0-9]+)*))?
    """,
    re.ASCII | re.VERBOSE,
)
PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}


class RefusedError(Exception):
    """Why the tag must not be shipped, and what to type."""


def main() -> int:
    """Print why the tag is refused; return the exit code."""
    try:
        check(os.environ.get("TAG", ""), os.environ.get("REMOTE") or "origin", os.environ.get("DEFAULT_BRANCH", ""))
    except RefusedError as refused:
        sys.stderr.write(f"{refused}\n")
        return 2
    return 0


def check(tag: str, remote: str, branch: str) -> None:
    """Raise RefusedError unless `tag` is the version, is where this checkout is, and is on the remote's `branch`."""
    if not tag:
        raise RefusedError("It is not said which tag to check; type: make release-check TAG=1.2.3")
    refuse_another_version(tag, declared_version(Path("pyproject.toml")))
    commit = git("rev-parse", "HEAD").strip()
    asked = branch if branch.startswith("refs/") else f"refs/heads/{branch}" if branch else "HEAD"
    refs = listed(remote, asked, f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}")
    refuse_another_commit(tag, commit, refs, remote)
    if asked not in refs:
        refuse_without_branch(branch, remote)
    if refs[asked] != commit and commit not in history(remote, asked):
        refuse_off_branch(tag, commit, refs.get("ref: HEAD", asked))


def declared_version(pyproject: Path) -> str:
    """The version that is shipped. Raises RefusedError where none stands in the file."""
    try:
        project = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("project")
    except (OSError, ValueError) as error:
        raise RefusedError(f"No tag can be checked, because pyproject.toml cannot be read: {error}") from None
    told = project if isinstance(project, dict) else {}
    if isinstance(told.get("version"), str):
        return str(told["version"])
    if "version" in str(told.get("dynamic", "")):
        raise RefusedError(
            'pyproject.toml has dynamic = ["version"]: no version stands in it that a tag could be compared with. '
            'Take "version" out of `dynamic` and write it down; type: uv version 1.2.3'
        )
    raise RefusedError(
        "pyproject.toml has no version under [project] that a tag could be compared with; type: uv version 1.2.3"
    )


def refuse_another_version(tag: str, version: str) -> None:
    """Raise RefusedError unless both are the same version."""
    if canonical(tag) is None:
        raise RefusedError(f"The tag {tag!r} is no version such as 1.2.3: nothing can be released as it.\n{undo(tag)}")
    if canonical(tag) != canonical(version):
        raise RefusedError(
            f"The tag {tag} is on a commit whose pyproject.toml says version {version}: {version} would be shipped "
            f"under the name {tag}.\n{undo(tag)}\nThen tag the commit that says {tag}; if there is none yet, make one "
            f"with `uv version {tag.lstrip('vV')}` and merge it first."
        )


def canonical(version: str) -> tuple[object, ...] | None:
    """What is the same for all spellings of one version, by PEP 440; None if it is no version."""
    found = VERSION.fullmatch(version.lower())
    if not found:
        return None
    release = re.sub(r"(\.0+)*$", "", found["release"])
    pre = PRE.get(found["pre"], found["pre"])
    post = found["post_alone"] or (found["post"] and (found["post_number"] or "0"))
    dev = found["dev"] and (found["dev_number"] or "0")
    numbers = (found["epoch"] or "0", found["pre_number"] or "0", post, dev)
    parts = (*release.split("."), "", pre, *numbers, *re.split("[-_.]", found["local"] or ""))
    return tuple(int(part) if part and part.isdigit() else part for part in parts)


def refuse_another_commit(tag: str, commit: str, refs: dict[str, str], remote: str) -> None:
    """Raise RefusedError unless the remote has the tag, at the commit that is checked out."""
    tagged = refs.get(f"refs/tags/{tag}^{{}}", refs.get(f"refs/tags/{tag}"))
    if tagged is None:
        raise RefusedError(
            f"{remote} has no tag {tag} (any more): what is checked out here was not released, or is not now. "
            f"If it should be, tag it: git tag {tag} {commit[:12]} && git push origin {tag}"
        )
    if tagged != commit:
        raise RefusedError(
            f"The tag {tag} is on {tagged[:12]} now, and what is checked out here is {commit[:12]}: the tag was moved. "
            f"Ship the pipeline of {tagged[:12]} instead, or a new version; a tag that was released should stay."
        )


def refuse_without_branch(branch: str, remote: str) -> NoReturn:
    """Say that the branch is not there which the tag's commit should be on."""
    raise RefusedError(
        f"{remote} has no branch {branch}".rstrip() + ", so that nobody knows whether the tag's commit was merged. "
        "Say which branch releases are made from; type: make release-check DEFAULT_BRANCH=main"
    )


def refuse_off_branch(tag: str, commit: str, head: str) -> NoReturn:
    """Say that the tag's commit is not on the branch."""
    branch = head.removeprefix("refs/heads/").removeprefix("refs/remotes/origin/")
    raise RefusedError(
        f"The tag {tag} is on {commit[:12]}, which is not on {branch}: what was never merged would be shipped.\n"
        f"{undo(tag)}\nThen merge what should be released into {branch}, and tag the commit that is there."
    )


def undo(tag: str) -> str:
    """How to take a tag back."""
    return f"Take it back: git push --delete origin {shlex.quote(tag)}; git tag --delete {shlex.quote(tag)}"


def listed(remote: str, *names: str) -> dict[str, str]:
    """The refs of the remote that are called so → the commit of each; "ref: HEAD" → the branch that HEAD names."""
    refs = {}
    for line in git("ls-remote", "--symref", remote, *names).splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: "):
            refs[f"ref: {name}"] = value.removeprefix("ref: ")
        else:
            refs[name] = value
    return refs


def history(remote: str, head: str) -> set[str]:
    """The commits of a branch of the remote, fetched anew, without files, and beside this clone."""
    # How the clone reaches its remote (a token, a proxy, an address) is in its own configuration.
    own = str(Path(git("rev-parse", "--git-path", "config").strip()).absolute())
    with tempfile.TemporaryDirectory() as folder:
        git("init", "--quiet", "--bare", folder)
        with (Path(folder) / "config").open("a", encoding="utf-8") as config:
            config.write(f"[include]\n\tpath = {json.dumps(own, ensure_ascii=False)}\n[gc]\n\tauto = 0\n")
        options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--filter=tree:0")
        git(f"--git-dir={folder}", "fetch", *options, remote, f"+{head}:refs/release/head")
        return set(git(f"--git-dir={folder}", "rev-list", "refs/release/head").split())


def git(*arguments: str) -> str:
    """What git says. Raises RefusedError with its complaint if it fails: what cannot be checked is not shipped."""
    quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(["git", *arguments], env=quiet, capture_output=True, text=True, check=False)  # noqa: S603, S607
    except OSError as error:
        raise RefusedError(f"git is needed to check the tag, and does not start: {error}") from None
    if done.returncode:
        said = f"git {' '.join(arguments)} said: {done.stderr.strip() or done.returncode}"
        without_passwords = re.sub(r"//[^/@\s]*@", "//", said)
        raise RefusedError(f"The tag cannot be checked, and so it is not shipped: {without_passwords}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
