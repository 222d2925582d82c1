"""The template at a version: where it comes from, which releases it has, and whether its code may run."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from packaging.version import InvalidVersion, Version

from twelvefold import safe_yaml
from twelvefold.errors import FailedError, RefusedError
from twelvefold.git import GitError, git, without_credentials
from twelvefold.repository_url import as_url, is_remote
from twelvefold.service import OWNERS

# What a render depends on; hooks/post_gen_project.py hashes the same.
CONTENT = ("cookiecutter.json", "scaraplate.yaml", "twelvefold_answers.py", "hooks/", "<<cookiecutter.project_slug>>/")
RULES = (
    "git_remote_type",
    "cookiecutter_context_type",
    "engine",
    "ownership",
    "default_strategy",
    "migrations",
    "application",
    "strategies_mapping",
)
OWNERSHIP = OWNERS | {"memory"}
Found = TypeVar("Found")
COMMIT = re.compile(r"[0-9a-f]{40}")
COOKIECUTTERS = ("gh:", "gl:", "bb:")  # short for three forges; to git they would be hosts


@dataclass(frozen=True, slots=True)
class Template:
    """A template at one commit, in a repository on this machine."""

    repository: Path
    url: str
    ref: str
    commit: str

    @lru_cache(maxsize=32)  # noqa: B019 - it is small, and what a commit has never changes
    def read(self, path: str) -> str:
        """The text of one of its files. Raises RefusedError if it has none such, so that it is no template."""
        try:
            return git(self.repository, "show", f"{self.commit}:{path}")
        except GitError as error:
            raise RefusedError(
                f"{self.url} at {self.ref} has no {path}, so it is no template that services follow."
            ) from error

    def changelog(self) -> str:
        """CHANGELOG.md, "" if it has none."""
        try:
            return self.read("CHANGELOG.md")
        except RefusedError:
            return ""

    def has_changes(self) -> bool:
        """Whether somebody works on it in its own folder, and has not committed what a render depends on."""
        return _once(("changes", self.repository), self._has_changes)

    def _has_changes(self) -> bool:
        if not (self.repository / ".git").exists():
            return False
        paths = [f":(literal){path.rstrip('/')}" for path in CONTENT]
        return bool(git(self.repository, "status", "--porcelain", "--", *paths))

    @lru_cache(maxsize=8)  # noqa: B019
    def rules(self) -> Mapping[str, Any]:
        """scaraplate.yaml, read. Raises RefusedError if it cannot be."""
        return loaded_rules(self.read("scaraplate.yaml"), self.url)

    def questions(self) -> dict[str, Any]:
        """cookiecutter.json, read."""
        try:
            questions = json.loads(self.read("cookiecutter.json"))
        except ValueError as error:
            raise RefusedError(f"{self.url} at {self.ref}: cookiecutter.json is not JSON ({error}).") from error
        if not isinstance(questions, dict):
            raise RefusedError(f"{self.url} at {self.ref}: cookiecutter.json holds no JSON object.")
        return questions

    @lru_cache(maxsize=32)  # noqa: B019
    def questions_in_paths(self) -> list[str]:
        """The questions whose answers are in the names of files and folders."""
        listed = git(self.repository, "ls-tree", "-r", "-z", "--name-only", self.commit).split("\0")
        paths = [path for path in listed if path.startswith(CONTENT[-1])]
        return sorted({name for path in paths for name in re.findall(r"cookiecutter\.(\w+)", path)})

    @lru_cache(maxsize=32)  # noqa: B019
    def content(self) -> str:
        """The hash of all that a render depends on, as a service's memory has it."""
        listed = git(self.repository, "ls-tree", "-r", "-z", self.commit).split("\0")
        lines = [_line(entry) for entry in listed if entry and entry.partition("\t")[2].startswith(CONTENT)]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def checkout(self, folder: Path) -> None:
        """Put its files into `folder`, which is empty."""
        index = folder.with_name(f"{folder.name}.index")
        git(
            self.repository,
            *("-c", "core.sparseCheckout=false", f"--work-tree={folder}", "read-tree", "--reset", "-u", self.commit),
            index=index,
        )
        index.unlink()


def loaded_rules(text: str, source: str) -> dict[str, Any]:
    """Read a scaraplate.yaml. Raises RefusedError if it is none, or written for a newer engine."""
    try:
        rules = safe_yaml.load(text)
    except yaml.YAMLError as error:
        raise RefusedError(f"{source}: scaraplate.yaml cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(rules, dict) or not isinstance(rules.get("strategies_mapping"), dict):
        raise RefusedError(f"{source}: scaraplate.yaml has no strategies_mapping.")
    refuse_old_engine(rules, source, "twelvefold rollup")
    unknown = sorted(str(key) for key in rules if key not in RULES)
    if unknown:
        raise RefusedError(f"{source}: scaraplate.yaml: {unknown[0]} is not one of {', '.join(RULES)}.")
    refuse_unowned(rules, source)
    return rules


def refuse_unowned(rules: Mapping[str, Any], source: str) -> None:
    """Raise RefusedError if `ownership` does not say what one of the strategies means."""
    owners = rules.get("ownership")
    if not isinstance(owners, dict) or not set(map(str, owners.values())) <= OWNERSHIP:
        raise RefusedError(f"{source}: scaraplate.yaml: ownership maps strategies to {', '.join(sorted(OWNERSHIP))}.")
    for pattern, node in rules["strategies_mapping"].items():
        strategy = node.get("strategy") if isinstance(node, dict) else node
        if not isinstance(strategy, str) or strategy not in owners:
            raise RefusedError(f"{source}: scaraplate.yaml: {pattern}: ownership does not say what {strategy} means.")


def refuse_old_engine(rules: Mapping[str, Any], source: str, command: str) -> None:
    """Raise RefusedError, with how to run `command`, if this package is older than the rules ask for."""
    needed = rules.get("engine", "0")
    wanted, mine = version_of(needed), engine_version()
    if wanted is None:
        raise RefusedError(f"{source}: scaraplate.yaml: engine must be a version, such as {mine}, not {needed!r}.")
    if Version(mine.base_version) < wanted:
        raise RefusedError(
            f"This template needs twelvefold {needed}, and this is {mine}. Run: "
            f"uvx --from {installable(source)}@{needed} {command}"
        )


@lru_cache
def engine_version() -> Version:
    """The version of this package."""
    from importlib.metadata import version

    return Version(version("twelvefold"))


def installable(source: str) -> str:
    """The URL or path of a repository, as pip and uv want it."""
    return f"git+{as_url(source) if is_remote(source) else f'file://{Path(source).expanduser().resolve()}'}"


def _line(entry: str) -> str:
    about, _, path = entry.partition("\t")
    mode, _, blob = about.split(" ")
    return f"{mode} {blob} {path}"


_found: dict[tuple[object, ...], Any] | None = None


@contextmanager
def finding_once() -> Iterator[None]:
    """Look each template up once, until the end of the context: for many services one after the other."""
    global _found
    before, _found = _found, {} if _found is None else _found
    try:
        yield
    finally:
        _found = before


def found_already(url: str, ref: str | None, template: Template) -> None:
    """Inside `finding_once`: whoever looks for this finds `template`."""
    assert _found is not None, "only inside finding_once"  # noqa: S101
    _found["template", url, ref] = template


def _once(key: tuple[object, ...], find: Callable[[], Found]) -> Found:
    """What `find` returns, from memory inside of `finding_once`."""
    if _found is None:
        return find()
    if key not in _found:
        _found[key] = find()
    found: Found = _found[key]
    return found


def find(url: str, ref: str | None) -> Template:
    """The template at `url`, a URL or a path, at a tag, branch or commit; without `ref` at its newest release.

    Raises RefusedError if there is no such thing there.
    """
    return _once(("template", url, ref), lambda: _find(url, ref))


def _find(url: str, ref: str | None) -> Template:
    repository = repository_of(url, ref)
    name = ref or newest_release(repository, url)
    for candidate in (f"refs/tags/{name}", f"refs/heads/{name}", name, f"refs/remotes/origin/{name}"):
        try:
            commit = git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{candidate}^{{commit}}")
        except GitError:
            continue
        return Template(repository, without_credentials(url), name, commit)
    raise RefusedError(
        f"{without_credentials(url)} has no tag, branch or commit {name}. See: git ls-remote {without_credentials(url)}"
    )


class NoReleaseError(RefusedError):
    """The template has no release yet."""


def newest_release(repository: Path, url: str) -> str:
    """The newest tag that is a version. Raises NoReleaseError if there is none."""
    tags = releases(repository)
    if not tags:
        raise NoReleaseError(f"{without_credentials(url)} has no release yet. Name a branch or commit: --ref main")
    return tags[-1]


def releases(repository: Path) -> list[str]:
    """The tags that are versions, the oldest first, without those of releases to come."""
    found = {tag: version_of(tag) for tag in git(repository, "tag", "--list").splitlines()}
    final = {tag: version for tag, version in found.items() if version and not version.is_prerelease}
    return sorted(final, key=lambda tag: final[tag] or Version("0"))


def version_of(text: object) -> Version | None:
    """`text` as a version, None if it is none."""
    try:
        return Version(str(text))
    except InvalidVersion:
        return None


def repository_of(url: str, ref: str | None) -> Path:
    """A git repository on this machine that has what is at `url` now: the path itself, or a clone in the cache."""
    path = Path(os.path.expanduser(url))  # noqa: PTH111 - Path's own raises if there is no such user
    if path.is_dir():
        try:
            git_directory = Path(git(path, "rev-parse", "--absolute-git-dir"))
        except GitError as error:
            raise RefusedError(
                f"{path} is no git repository. Name the template's repository, or run there: git init"
            ) from error
        refuse_embedded(git_directory)
        return path.resolve()
    if "\0" in url or not is_remote(url) or url.startswith(COOKIECUTTERS):
        raise RefusedError(f"{url} is no folder and no URL. Name the template: --template https://...")
    return _cached(url, ref)


def refuse_embedded(git_directory: Path) -> None:
    """Raise RefusedError for a bare repository that may have been committed into another one.

    Its settings, which name commands that git runs, are then whoever's wrote the other: see safe.bareRepository in
    git-config(1). Nobody can commit a folder of the name .git.
    """
    if ".git" in git_directory.parts:
        return
    around = next((folder for folder in git_directory.parents if (folder / ".git").exists()), None)
    if around:
        raise RefusedError(
            f"{git_directory} is a bare repository inside of another one, {around}, so that its settings may be "
            "anybody's. Move it out of there, or clone it."
        )


def _cached(url: str, ref: str | None) -> Path:
    clone = cache() / hashlib.sha256(without_credentials(url).encode()).hexdigest()[:16]
    if not (clone / "HEAD").exists():
        clone.mkdir(parents=True, exist_ok=True)
        git(clone, "init", "--quiet", "--bare")
    has_it = ref is not None and COMMIT.fullmatch(ref) and _has(clone, ref)
    if not has_it:
        # The URL is named at each fetch and not stored: it may carry a token.
        git(
            clone,
            "fetch",
            "--quiet",
            "--force",
            "--prune",
            "--",  # the URL may come out of a service that nobody trusts
            url,
            "+refs/heads/*:refs/heads/*",
            "+refs/tags/*:refs/tags/*",
        )
    return clone


def _has(clone: Path, commit: str) -> bool:
    try:
        git(clone, "cat-file", "-e", commit)
    except GitError:
        return False
    return True


def cache() -> Path:
    """The folder for clones: `TWELVEFOLD_CACHE`, or the user's cache folder."""
    return Path(
        os.environ.get("TWELVEFOLD_CACHE")
        or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "twelvefold"
    )


def trusted_file() -> Path:
    """Where the URLs are kept whose code may run here, one a line."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "twelvefold/trusted"


def trusted() -> set[str]:
    """The URLs whose hooks and extensions may run here: the file's, and `TWELVEFOLD_TRUST`'s (with spaces between)."""
    try:
        lines = trusted_file().read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    except OSError as error:
        raise FailedError(f"{trusted_file()} cannot be read: {error.strerror}.") from error
    return {line.strip() for line in lines if line.strip()} | set(os.environ.get("TWELVEFOLD_TRUST", "").split())


def trust(url: str) -> None:
    """Let the code of the template at `url` run here from now on."""
    url = without_credentials(url)
    if url in trusted():
        return
    trusted_file().parent.mkdir(parents=True, exist_ok=True)
    with trusted_file().open("a", encoding="utf-8") as file:
        file.write(f"{url}\n")
