"""What git is asked for, what it may run and whom it shows the token; and what is done when it fails."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import commit, git
from forge_server import TOKEN, Fault, Forge, serving
from required import require_proc
from twelvefold.errors import FailedError, RefusedError
from twelvefold.fleet import remote as remotes
from twelvefold.fleet.remote import (
    Clone,
    Heads,
    ProtectedError,
    Remote,
    changed_environment,
    environment,
    heads,
    retry_after,
)
from twelvefold.git import GitError, within
from twelvefold.git import git as run_git

BRANCH = "twelvefold/update"


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository with two commits, the first of a file that the second has no more."""
    work = tmp_path_factory.mktemp("seed") / "work"
    (work / "services").mkdir(parents=True)
    (work / "old.txt").write_text("old\n")
    commit(work, "First")
    (work / "old.txt").rename(work / "new.txt")
    (work / "new.txt").write_text("new\n")
    commit(work, "Second")
    git(work.parent, "clone", "--quiet", "--bare", "work", "seed.git")
    return work.parent / "seed.git"


@pytest.fixture
def bare(seed: Path, tmp_path: Path) -> Path:
    (tmp_path / "git/acme").mkdir(parents=True)
    git(tmp_path, "clone", "--quiet", "--bare", str(seed), "git/acme/pay.git")
    for setting in ("http.receivepack", "uploadpack.allowFilter"):
        git(tmp_path / "git/acme/pay.git", "config", setting, "true")
    return tmp_path / "git/acme/pay.git"


@pytest.fixture
def forge(bare: Path) -> Iterator[Forge]:
    with serving(bare.parents[1]) as made:
        yield made


@pytest.fixture
def there(forge: Forge) -> Remote:
    """The repository as a forge serves it."""
    return Remote(f"{forge.url}/acme/pay.git", "oauth2", TOKEN)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited between attempts, without waiting for them."""
    waited: list[float] = []
    sleep = time.sleep
    # A second and more is ours; less is subprocess's, between two looks.
    monkeypatch.setattr(time, "sleep", lambda seconds: waited.append(seconds) if seconds >= 1 else sleep(seconds))
    return waited


def cloned(remote: Remote, folder: Path, inside: str = "") -> Clone:
    clone = Clone(folder / "clones/pay", remote, inside)
    clone.update(heads(remote, BRANCH), BRANCH)
    return clone


def push(bare: Path, path: str, text: str, *, branch: str = "main", link: str = "") -> None:
    """Commit a file, or a link, as somebody else."""
    work = bare.parents[2] / "others"
    if not work.exists():
        git(work.parent, "clone", "--quiet", str(bare), work.name)
    git(work, "fetch", "--quiet", "origin")
    exists = git(bare, "for-each-ref", f"refs/heads/{branch}")
    git(work, "checkout", "--quiet", "--force", "-B", branch, f"origin/{branch if exists else 'main'}")
    (work / path).parent.mkdir(parents=True, exist_ok=True)
    (work / path).symlink_to(link) if link else (work / path).write_text(text)
    commit(work, path)
    git(work, "push", "--quiet", "origin", f"HEAD:{branch}")


def ours(clone: Clone, path: str, text: str) -> str:
    (clone.folder / path).write_text(text)
    commit(clone.folder, path)
    return clone.head()


def tip(bare: Path, branch: str = BRANCH) -> str:
    return git(bare, "rev-parse", branch).strip()


# What is there


def test_what_a_repository_has(bare: Path) -> None:
    assert heads(Remote(str(bare)), BRANCH) == Heads("main", tip(bare, "main"), "")
    push(bare, "a.txt", "a", branch=BRANCH)
    push(bare, "b.txt", "b", branch=f"others/{BRANCH}")
    assert heads(Remote(str(bare)), BRANCH).proposal == tip(bare)


@pytest.mark.parametrize("branch", ["--upload-pack=touch pwned", "*", "x y"])
def test_a_branch_is_never_an_option(branch: str, bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bare.parent)
    assert heads(Remote(str(bare)), branch).proposal == ""
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    "url", ["--upload-pack=touch pwned", "ext::touch pwned", "ssh://-oProxyCommand=touch${IFS}pwned/x"]
)
def test_an_address_is_never_a_command(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FailedError):
        heads(Remote(url), BRANCH)
    assert list(tmp_path.iterdir()) == []


def test_ssh_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/told\nexit 255\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    for name in ("GIT_SSH", "GIT_SSH_COMMAND"):
        monkeypatch.delenv(name, raising=False)
    remotes._ssh.cache_clear()
    with changed_environment(environment(None)), pytest.raises(FailedError):
        heads(Remote("git@git.example.com:acme/pay.git"), BRANCH)
    assert "BatchMode=yes" in (tmp_path / "told").read_text()
    remotes._ssh.cache_clear()
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -i key")
    assert "GIT_SSH_COMMAND" not in environment(None)
    remotes._ssh.cache_clear()


# The clone


def test_only_what_moved_is_fetched(there: Remote, bare: Path, forge: Forge, tmp_path: Path) -> None:
    clone = cloned(there, tmp_path)
    missing = git(clone.folder, "rev-list", "--objects", "--all", "--missing=print").count("?")
    assert missing == 1  # old.txt, which only the history has
    asked = len(forge.git_asked)
    clone.update(heads(there, BRANCH), BRANCH)
    assert len(forge.git_asked) == asked + 2  # ls-remote, in two requests; the clone has everything
    push(bare, "more.txt", "more")
    asked = len(forge.git_asked)
    clone.update(heads(there, BRANCH), BRANCH)
    assert (clone.folder / "more.txt").read_text() == "more"
    fetched = forge.git_asked[asked + 2 :]
    assert len(fetched) <= 6  # the commit, then its one new file
    assert git(clone.folder, "rev-list", "--objects", "--all", "--missing=print").count("?") == missing


def test_a_branch_that_somebody_pushed_to_is_fetched_though_main_stands(
    there: Remote, bare: Path, tmp_path: Path
) -> None:
    clone = cloned(there, tmp_path)
    for number in (1, 2):
        push(bare, f"{number}.txt", "theirs", branch=BRANCH)
        now = heads(there, BRANCH)
        clone.update(now, BRANCH)
        assert len(clone.commits(now.head, now.proposal)) == number


def test_a_clone_is_cleared_of_what_another_run_left(bare: Path, tmp_path: Path) -> None:
    clone = cloned(Remote(str(bare)), tmp_path)
    (clone.folder / "new.txt").write_text("half")
    (clone.folder / "left/over").mkdir(parents=True)
    git(clone.folder / "left", "init", "--quiet")
    (clone.folder / ".git/index.lock").touch()
    clone.update(heads(clone.remote, BRANCH), BRANCH)
    assert (clone.folder / "new.txt").read_text() == "new\n"
    assert not (clone.folder / "left").exists()


@pytest.mark.parametrize("damage", ["HEAD", "objects", "config", "../../pay.config", ""])
def test_a_damaged_clone_is_made_again(damage: str, bare: Path, tmp_path: Path) -> None:
    clone = cloned(Remote(str(bare)), tmp_path)
    target = clone.folder / ".git" / damage
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    clone.update(heads(clone.remote, BRANCH), BRANCH)
    assert clone.head() == tip(bare, "main")


def test_a_link_does_not_lead_out_of_the_repository(bare: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    push(bare, "services/cart", "", link=str(outside))
    with pytest.raises(RefusedError, match="services/cart is a symbolic link"):
        cloned(Remote(str(bare)), tmp_path, "services/cart")
    push(bare, "elsewhere", "", link=str(outside), branch=BRANCH)
    clone = cloned(Remote(str(bare)), tmp_path / "two", "elsewhere")
    with pytest.raises(RefusedError, match="elsewhere is a symbolic link"):
        clone.go_to(tip(bare))
    clone.go_to(tip(bare, "main"))
    with pytest.raises(RefusedError, match="elsewhere is a symbolic link"):
        clone.merge(tip(bare))


def test_a_merge_that_fails_for_another_reason_is_no_conflict(bare: Path, tmp_path: Path) -> None:
    clone = cloned(Remote(str(bare)), tmp_path)
    with pytest.raises(GitError):
        clone.merge("0" * 40)
    push(bare, "new.txt", "theirs")
    mine = ours(clone, "new.txt", "mine")
    git(clone.folder, "fetch", "--quiet", "origin")
    assert clone.merge(tip(bare, "main")) is False
    assert clone.head() == mine
    assert git(clone.folder, "status", "--porcelain") == ""


def test_histories_that_share_nothing_are_no_ancestors(bare: Path, tmp_path: Path) -> None:
    clone = cloned(Remote(str(bare)), tmp_path)
    before = clone.head()
    git(clone.folder, "checkout", "--quiet", "--orphan", "another")
    git(clone.folder, "commit", "--quiet", "--message", "Another beginning")
    assert not clone.is_ancestor(before, clone.head())
    assert not clone.is_ancestor("", before)
    assert clone.is_ancestor(f"{before}~", before)


def test_a_push_is_refused_when_somebody_was_faster(bare: Path, tmp_path: Path) -> None:
    clone = cloned(Remote(str(bare)), tmp_path)
    push(bare, "review.txt", "theirs", branch=BRANCH)
    theirs = tip(bare)
    ours(clone, "mine.txt", "mine")
    with pytest.raises(GitError, match="stale info"):
        clone.push(BRANCH, expected="")
    with pytest.raises(GitError, match="stale info"):
        clone.delete(BRANCH, expected=clone.head())
    assert tip(bare) == theirs


def test_a_hook_that_refuses_is_told_whatever_the_repository_is_called(bare: Path, tmp_path: Path) -> None:
    protected = bare.rename(bare.with_name("protected.git"))
    clone = cloned(Remote(str(protected)), tmp_path)
    ours(clone, "mine.txt", "mine")
    git(protected, "config", "receive.maxInputSize", "1")
    with pytest.raises(GitError) as error:
        clone.push(BRANCH, expected="")
    assert not isinstance(error.value, ProtectedError)
    git(protected, "config", "--unset", "receive.maxInputSize")
    (protected / "hooks/pre-receive").write_text("#!/bin/sh\necho 'Nobody pushes here.' >&2\nexit 1\n")
    (protected / "hooks/pre-receive").chmod(0o755)
    with pytest.raises(ProtectedError, match="Nobody pushes here"):
        clone.push(BRANCH, expected="")


# What may pass by itself


def test_what_passes_by_itself_is_tried_again_later_each_time(
    there: Remote, forge: Forge, tmp_path: Path, slept: list[float]
) -> None:
    forge.git_faults.extend([Fault(503), Fault(429), Fault(502)])
    assert heads(there, BRANCH).main == "main"
    assert slept == [1, 2, 4]
    forge.git_faults.extend([None, None, Fault(500), None, Fault(503)])
    clone = cloned(there, tmp_path)
    forge.git_faults.append(Fault(503))
    ours(clone, "mine.txt", "mine")
    clone.push(BRANCH, expected="")
    assert len(slept) == 6
    assert tip(forge.folder / "acme/pay.git") == clone.head()


@pytest.mark.parametrize(
    ("told", "least"),
    [("7", 7), ("0", 1), ("a date", 200), ("soon", 1)],
)
def test_nobody_asks_before_retry_after(
    told: str, least: float, there: Remote, forge: Forge, slept: list[float]
) -> None:
    if told == "a date":
        told = format_datetime(datetime.now(UTC) + timedelta(minutes=5))
    forge.git_faults.append(Fault(429, {"Retry-After": told}))
    heads(there, BRANCH)
    assert len(slept) == 1
    assert least <= slept[0] <= least + 600


def test_it_ends_with_what_git_said(there: Remote, forge: Forge, slept: list[float]) -> None:
    forge.git_faults.extend([Fault(503)] * 20)
    with pytest.raises(GitError, match="503"):
        heads(there, BRANCH)
    assert slept == [1, 2, 4, 8]
    forge.git_faults.clear()
    forge.git_faults.append(Fault(429, {"Retry-After": "3600"}))
    with within(60), pytest.raises(GitError, match="429"):
        heads(there, BRANCH)
    assert len(slept) == 4  # there is no hour left


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_stays_wrong_is_not_tried_again(status: int, there: Remote, forge: Forge, slept: list[float]) -> None:
    forge.git_faults.append(Fault(status))
    with pytest.raises(FailedError):
        heads(there, BRANCH)
    assert slept == []


def test_a_path_is_not_tried_again(tmp_path: Path, slept: list[float]) -> None:
    with pytest.raises(GitError):
        heads(Remote(str(tmp_path / "none.git")), BRANCH)
    assert slept == []


def test_a_push_whose_answer_was_lost_is_done(there: Remote, forge: Forge, tmp_path: Path, slept: list[float]) -> None:
    clone = cloned(there, tmp_path)
    mine = ours(clone, "mine.txt", "mine")
    forge.git_faults.extend([None, Fault(502, is_late=True)])
    clone.push(BRANCH, expected="")
    assert slept == [1]
    assert tip(forge.folder / "acme/pay.git") == mine


def test_a_trace_without_the_header_asks_for_no_wait(tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(b"<= Recv header: Date: now\n\xff")
    assert retry_after(tmp_path / "trace") == 0


def test_a_host_that_never_answers_takes_its_time_and_leaves_no_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/acme/pay.git"
        began = time.monotonic()
        with within(0.7), pytest.raises(GitError, match="no answer in the time that there was"):
            heads(Remote(url, "oauth2", TOKEN), BRANCH)
        assert time.monotonic() - began < 5
        until = time.monotonic() + 5
        while left := _processes(url):
            assert time.monotonic() < until, left
            time.sleep(0.05)


def _processes(text: str) -> list[str]:
    """The command lines of running processes that have it."""
    require_proc()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_text(errors="replace"))
    return [line for line in found if text in line]


# The token


def test_the_token_goes_to_no_host_that_the_forge_sends_git_to(
    there: Remote, forge: Forge, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(bare.parents[1]) as other:
        elsewhere = f"{other.url.replace('127.0.0.1', 'localhost')}/acme/pay.git/info/refs?service=git-upload-pack"
        forge.git_faults.append(Fault(301, {"Location": elsewhere}))
        with pytest.raises(GitError, match="301: the repository has moved; fix its URL"):
            heads(there, BRANCH)
        assert other.git_asked == []


def test_the_user_s_own_settings_of_git_stay(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline says so where the template's own repository asks for a token."""
    own = {"COUNT": "1", "KEY_0": f"url.{forge.url}/.insteadOf", "VALUE_0": "https://git.example.com/"}
    for name, value in own.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    before = dict(os.environ)
    with pytest.raises(ProtectedError):  # found by the user's setting; the token is for another host
        heads(Remote("https://git.example.com/acme/pay.git", "oauth2", TOKEN), BRANCH)
    assert forge.git_asked
    assert heads(Remote(f"{forge.url}/acme/pay.git", "oauth2", TOKEN), BRANCH).main == "main"
    assert dict(os.environ) == before


def test_no_variable_with_the_token_is_seen_by_what_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_TOKEN", TOKEN)
    monkeypatch.setenv("ANOTHER_NAME", f"https://u:{TOKEN}@x")
    with changed_environment(environment(TOKEN)):
        assert not [name for name, value in os.environ.items() if TOKEN in value]
        assert os.environ["GIT_COMMITTER_EMAIL"] == "twelvefold@localhost"
    assert os.environ["FORGE_TOKEN"] == TOKEN


def memory_files() -> list[str]:
    """The files in memory that this process has open. Others may come and go: this process runs other tests, too."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one that was opened to list them
            found.append(str(path.readlink()))
    return [target for target in found if "memfd:" in target]


def test_git_is_shown_the_token_in_no_variable(there: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    require_proc()
    secrets = (TOKEN, base64.b64encode(f"oauth2:{TOKEN}".encode()).decode())
    shown: list[str] = []

    def spy(folder: Path, *arguments: Any, variables: Mapping[str, str], files: Sequence[int]) -> str:
        shown.extend([*map(str, arguments), *variables.values()])
        return run_git(folder, *arguments, variables=variables, files=files)

    monkeypatch.setattr(remotes, "git", spy)
    assert heads(there, BRANCH).main == "main"
    assert not [text for text in shown if any(secret in text for secret in secrets)]
    assert memory_files() == []
    monkeypatch.delattr(os, "memfd_create")  # as on macOS
    assert heads(there, BRANCH).main == "main"
    assert [text for text in shown if secrets[1] in text]


def test_a_remote_does_not_print_its_token(there: Remote) -> None:
    assert TOKEN not in repr(there)


SPY = "#!/bin/sh\nenv >>'{}'\nexit 0\n"


def test_what_a_build_left_in_the_clone_is_not_run_where_the_token_is(
    there: Remote, forge: Forge, tmp_path: Path
) -> None:
    clone = cloned(there, tmp_path)
    seen = tmp_path / "seen"
    spy = tmp_path / "spy"
    spy.write_text(SPY.format(seen))
    spy.chmod(0o755)
    directory = clone.folder / ".git"
    ours(clone, ".gitattributes", "*.txt filter=spy\n")
    mine = ours(clone, "mine.txt", "mine")
    (directory / "hooks").mkdir()
    for hook in ("pre-push", "post-checkout", "reference-transaction"):
        (directory / "hooks" / hook).symlink_to(spy)
    with (directory / "config").open("a") as settings:
        settings.write(
            f"[core]\n\tfsmonitor = {spy}\n\thooksPath = .git/hooks\n\tsshCommand = {spy}\n\tgitProxy = {spy}\n"
            f'[filter "spy"]\n\tsmudge = {spy}\n\tclean = {spy}\n[credential]\n\thelper = !{spy}\n'
            f'[remote "origin"]\n\tpushurl = ext::{spy}\n\tuploadpack = {spy}\n\treceivepack = {spy}\n'
            "[protocol]\n\tallow = always\n[http]\n\tproxy = http://127.0.0.1:9\n"
        )
    clone.push(BRANCH, expected="")
    (directory / "commondir").write_text("../elsewhere\n")
    push(forge.folder / "acme/pay.git", "more.txt", "more")
    clone.update(heads(there, BRANCH), BRANCH)
    assert not seen.exists(), seen.read_text()
    assert tip(forge.folder / "acme/pay.git") == mine


def test_a_clone_whose_git_folder_is_a_link_is_made_again(bare: Path, tmp_path: Path) -> None:
    clone = cloned(Remote(str(bare)), tmp_path)
    moved = (clone.folder / ".git").rename(tmp_path / "elsewhere")
    (clone.folder / ".git").symlink_to(moved)
    with pytest.raises(GitError, match="no clone of ours"):
        clone.push(BRANCH, expected="")
    clone.update(heads(clone.remote, BRANCH), BRANCH)
    assert not (clone.folder / ".git").is_symlink()


def test_the_user_s_own_hooks_run_in_no_repository_of_others(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    for folder in (hooks, tmp_path / "template/hooks"):
        folder.mkdir(parents=True)
        for name in ("post-checkout", "pre-commit"):
            (folder / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
            (folder / name).chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (tmp_path / "gitconfig").write_text(f"[core]\n\thooksPath = {hooks}\n")
    clone = cloned(Remote(str(bare)), tmp_path)
    ours(clone, "mine.txt", "mine")
    assert not (tmp_path / "ran").exists()
    assert not re.findall("hooks", " ".join(path.name for path in (clone.folder / ".git").iterdir()))
