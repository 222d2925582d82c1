"""Release a version: set it where it stands, date its section of CHANGELOG.md, test, commit, build wheels, tag.

A second commit starts the next version and notes the release in releases.json: tests/rollup/test_history.py updates
services of every version in it. Whatever fails, the branch and the files are as they were. The wheels, for
organisations that have an index, are those of vendor/ without its local version. Run by `make release VERSION=1.2.3`.
"""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
from pathlib import Path

from rendered import without_project

ROOT = Path(__file__).resolve().parents[1]
ANSWERS = ROOT / "cookiecutter.json"
CHANGELOG = ROOT / "CHANGELOG.md"
RELEASES = ROOT / "releases.json"
PARTS = sorted(ROOT.glob("<<*>>/vendor/*/pyproject.toml"))
WRITTEN = [ANSWERS, CHANGELOG, RELEASES, *PARTS]
VERSION_SET = re.compile(r'(?<="_template_version": ")[^"]+')
VERSION_VENDORED = re.compile(r'(?<=["=])[\w.]+(?=\+vendored")')
NUMBERS = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class ReleaseError(Exception):
    """Why there is no release, in one sentence; nothing was changed."""


def git(*arguments: str | Path) -> str:
    """Run git in the template and return what it prints. Raises ReleaseError with its complaint if it fails."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = [*done.stderr.strip().splitlines(), f"exit code {done.returncode}"][0]
        raise ReleaseError(f"git {arguments[0]} failed: {reason}")
    return done.stdout.strip()


def numbers(version: str) -> tuple[int, ...]:
    """`1.2.3` as (1, 2, 3). Raises ReleaseError if it has another form."""
    found = NUMBERS.fullmatch(version)
    if not found:
        raise ReleaseError(f"{version!r} is no version; type three numbers, such as 1.2.3.")
    return tuple(int(number) for number in found.groups())


def refuse_bad_state(version: str) -> None:
    """Raise ReleaseError unless `version` can be released from this checkout."""
    refuse_low_version(version)
    branch = git("rev-parse", "--abbrev-ref", "HEAD")
    if branch != "main":
        raise ReleaseError(f"This is branch {branch}; releases are made from main: git switch main")
    if git("status", "--porcelain"):
        raise ReleaseError("There are changes that are not committed; commit or stash them: git status")
    if git("tag", "--list", version):
        raise ReleaseError(f"The tag {version} exists already; choose a greater version.")
    if not unreleased(version).search(CHANGELOG.read_text(encoding="utf-8")):
        raise ReleaseError(f"CHANGELOG.md has no section for it; write one under: ## {version} - unreleased")


def refuse_low_version(version: str) -> None:
    wanted = numbers(version)
    released = max(map(numbers, json.loads(RELEASES.read_text(encoding="utf-8"))), default=None)
    if released and wanted <= released:
        raise ReleaseError(f"{version} is not greater than the last release, {'.'.join(map(str, released))}.")
    developed = VERSION_SET.findall(ANSWERS.read_text(encoding="utf-8"))[0].removesuffix(".dev")
    if not released and wanted < numbers(developed):
        raise ReleaseError(f"{version} is not greater than {developed}.dev, the version in cookiecutter.json.")


def unreleased(version: str) -> re.Pattern[str]:
    return re.compile(rf"^(## {re.escape(version)}) - unreleased$", re.MULTILINE)


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")


def set_version(version: str) -> None:
    write(ANSWERS, VERSION_SET.sub(version, ANSWERS.read_text(encoding="utf-8")))
    for path in PARTS:
        write(path, VERSION_VENDORED.sub(version, path.read_text(encoding="utf-8")))


def date_section(version: str) -> None:
    today = datetime.datetime.now(datetime.UTC).date()
    write(CHANGELOG, unreleased(version).sub(rf"\1 - {today}", CHANGELOG.read_text(encoding="utf-8")))


def make(target: str) -> None:
    # As from a shell: a make below another announces the folders that it enters, where tests read its output.
    if subprocess.run(["make", target], cwd=ROOT, env=without_project(), check=False).returncode:
        raise ReleaseError(f"make {target} failed; its output is above.")


def commit(message: str) -> str:
    """Commit the files that a release writes, and nothing else; return the commit's hash."""
    git("commit", "--quiet", "--only", "--message", message, "--", *WRITTEN)
    return git("rev-parse", "HEAD")


def start_next(version: str, commit_hash: str) -> None:
    major, minor, _ = numbers(version)
    following = f"{major}.{minor + 1}.0"
    set_version(f"{following}.dev")
    releases = {**json.loads(RELEASES.read_text(encoding="utf-8")), version: commit_hash}
    write(RELEASES, json.dumps(releases, indent=2) + "\n")
    commit(f"Start {following}")


def release(version: str) -> None:
    """Raises ReleaseError, and then leaves everything as it was."""
    refuse_bad_state(version)
    before = git("rev-parse", "HEAD")
    try:
        set_version(version)
        date_section(version)
        make("test")
        commit_hash = commit(f"Release {version}")
        make("wheels")
        start_next(version, commit_hash)
        # Last, because it is the one step that taking the branch back would not undo.
        git("tag", "--annotate", "--message", f"Release {version}", version, commit_hash)
    except BaseException:
        git("reset", "--quiet", "--soft", before)
        git("checkout", "--quiet", before, "--", *WRITTEN)
        raise


def main(arguments: list[str]) -> int:
    try:
        if len(arguments) != 1:
            raise ReleaseError("Say which version: make release VERSION=1.2.3")
        release(arguments[0])
    except ReleaseError as error:
        sys.stderr.write(f"release: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("release: interrupted; nothing was changed.\n")
        return 130
    sys.stdout.write(f"Released {arguments[0]}. Publish it: git push --atomic origin main {arguments[0]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
