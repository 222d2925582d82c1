"""Where the fleet's token comes from, where it is refused, and where it never is."""

from __future__ import annotations

import base64
import io
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from conftest import git
from fleets import Fleet
from forge_server import TOKEN, Forge, serving
from required import require_proc
from twelvefold.cli import main
from twelvefold.errors import RefusedError
from twelvefold.fleet.tokens import holding, token_from

PROGRAM = str(Path(sys.executable).parent / "twelvefold")
NAMES = ("TWELVEFOLD_TOKEN", "GITLAB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "CI_JOB_TOKEN")


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def forge(fleet: Fleet) -> Iterator[Forge]:
    """A forge with two repositories, which are the fleet."""
    (fleet.folder / "git/acme").mkdir()
    fleet.add("acme/pay", "acme/mail")
    for name in ("pay", "mail"):
        for setting in ("http.receivepack", "uploadpack.allowFilter"):
            git(fleet.repository(f"acme/{name}"), "config", setting, "true")
    with serving(fleet.folder / "git") as made:
        services = [{"url": f"{made.url}/acme/{name}.git"} for name in ("pay", "mail")]
        fleet.configure(f"[forge]\nkind = 'gitlab'\nurl = '{made.url}'\n", services=services)
        yield made


def begun(fleet: Fleet, *arguments: str, said: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """`twelvefold fleet` in a process of its own."""
    command, *rest = arguments
    return subprocess.run(
        [PROGRAM, "fleet", command, "--fleet", str(fleet.folder / "fleet.toml"), *rest],
        input=said,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


# Where it comes from


def test_a_file_and_standard_input_have_the_token(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert token_from(str(file)) == TOKEN
    monkeypatch.setenv("HOME", str(file.parent))
    assert token_from("~/token") == TOKEN
    for text in (TOKEN, f"{TOKEN}\n", f"{TOKEN}\r\n"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert token_from("-") == TOKEN


def test_a_file_is_relative_to_that_of_the_fleet(fleet: Fleet, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    (fleet.folder / "secrets").mkdir()
    fleet.keep_token(TOKEN)
    (fleet.folder / "token").rename(fleet.folder / "secrets/forge")
    text = (fleet.folder / "fleet.toml").read_text(encoding="utf-8")
    (fleet.folder / "fleet.toml").write_text(f"{text}token_file = 'secrets/forge'\n", encoding="utf-8")
    monkeypatch.chdir("/")
    assert fleet.rollup().keys() == {"pay", "mail"}
    assert set(forge.shown) == {TOKEN}


def test_the_command_line_goes_before_the_file(fleet: Fleet, forge: Forge, file: Path) -> None:
    fleet.keep_token("another-token")
    text = (fleet.folder / "fleet.toml").read_text(encoding="utf-8")
    (fleet.folder / "fleet.toml").write_text(f"{text}token_file = 'token'\n", encoding="utf-8")
    fleet.rollup("--token-file", str(file))
    assert set(forge.shown) == {TOKEN}


@pytest.mark.slow
@pytest.mark.parametrize("command", [("rollup",), ("run", "--branch", "chore/it", "--", "sh", "-c", "echo b >b.txt")])
def test_standard_input_reaches_the_workers(command: tuple[str, ...], fleet: Fleet, forge: Forge) -> None:
    name, *rest = command
    done = begun(fleet, name, "--jobs", "2", "--token-file", "-", *rest, said=f"{TOKEN}\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 services: 2 proposed." in done.stdout
    assert {request["project"] for request in forge.requests} == {"acme/pay", "acme/mail"}


@pytest.mark.slow
def test_a_pipe_of_the_shell_is_a_file(fleet: Fleet, forge: Forge) -> None:
    where = f"--fleet {fleet.folder / 'fleet.toml'}"
    script = f"'{PROGRAM}' fleet rollup {where} --jobs 1 --token-file <(printf %s '{TOKEN}')"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "report", "rollup"])
def test_who_lists_a_group_needs_the_token(command: str, fleet: Fleet, forge: Forge, tmp_path: Path) -> None:
    fleet.configure(f"[forge]\nkind = 'gitlab'\nurl = '{forge.url}'\n[[discover]]\ngitlab = 'acme'\n", services=[])
    options = ("--output", str(tmp_path / "page.html")) if command == "report" else ()
    done = begun(fleet, command, "--token-file", "-", *options, said=TOKEN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(forge.shown) == {TOKEN}


def test_status_needs_no_token_where_nobody_is_asked(fleet: Fleet, forge: Forge) -> None:
    text = (fleet.folder / "fleet.toml").read_text(encoding="utf-8")
    (fleet.folder / "fleet.toml").write_text(f"{text}token_file = 'nowhere'\n", encoding="utf-8")
    assert "not looked at yet" in fleet.run("status")


@pytest.mark.slow
def test_a_run_that_goes_on_takes_the_token_anew(fleet: Fleet, forge: Forge) -> None:
    begun_run = '{"run": "now", "newest": null, "options": {"build": false, "check": false, "max_failures": null, '
    begun_run += '"no_lock": false, "only": [], "only_failed": false, "ref": null, "shard": null, "wave": null}}'
    (fleet.folder / ".fleet").mkdir()
    (fleet.folder / ".fleet/run.json").write_text(begun_run, encoding="utf-8")
    done = begun(fleet, "rollup", "--resume", "--token-file", "-", said=TOKEN)
    assert done.returncode == 0, done.stdout + done.stderr


# What is refused


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b" \r\n", "is empty"),
        (b"one\ntwo\n", "has several lines"),
        (b"one\n\n", "has several lines"),
        (b"one two", "holds what no token has"),
        (b"\xff\xfeg\0l\0", "holds what no token has"),
        ("glpat-é".encode(), "holds what no token has"),
        (b"\xef\xbb\xbfglpat-secret", "holds what no token has"),
        (b"x" * 70_000, "holds what no token has"),
    ],
)
def test_what_is_no_token_is_refused(
    content: bytes, said: str, file: Path, fleet: Fleet, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_bytes(content)
    output = fleet.run("rollup", "--token-file", str(file), exit_code=2)
    assert f"{file} {said}" in output
    options = ["fleet", "rollup", "--fleet", str(fleet.folder / "fleet.toml"), "--token-file", "-"]
    done = CliRunner().invoke(main, options, input=content, catch_exceptions=False)
    assert (done.exit_code, f"Standard input {said}" in done.output) == (2, True), done.output
    assert "glpat" not in output + done.output
    assert forge.git_asked == forge.asked == []


def test_a_file_that_is_not_there_is_not_named_because_it_may_be_the_token(fleet: Fleet, forge: Forge) -> None:
    said = fleet.run("rollup", "--token-file", TOKEN, exit_code=2)
    assert "The file that --token-file names cannot be read: No such file or directory." in said
    assert TOKEN not in said
    text = (fleet.folder / "fleet.toml").read_text(encoding="utf-8")
    (fleet.folder / "fleet.toml").write_text(f"{text}token_file = '{TOKEN}'\n", encoding="utf-8")
    said = fleet.run("rollup", exit_code=2)
    assert "The file that token_file in fleet.toml names cannot be read" in said
    assert TOKEN not in said


def test_what_is_no_file_is_refused(fleet: Fleet, forge: Forge, tmp_path: Path) -> None:
    assert "/dev/zero is no file" in fleet.run("rollup", "--token-file", "/dev/zero", exit_code=2)
    assert "cannot be read: Is a directory." in fleet.run("rollup", "--token-file", str(tmp_path), exit_code=2)


@given(mode=st.integers(0, 0o777))
def test_others_may_neither_read_nor_write_a_file_of_ours(mode: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("mode") / "token"
    path.write_text(TOKEN, encoding="utf-8")
    path.chmod(mode | 0o400)
    if not mode & 0o077:
        assert token_from(str(path)) == TOKEN
        return
    with pytest.raises(RefusedError, match=f"Others may read or write .*token. Run: chmod 600 {path}"):
        token_from(str(path))


@pytest.mark.parametrize(
    ("mode", "is_taken"), [(0o444, True), (0o440, True), (0o644, True), (0o664, False), (0o602, False)]
)
def test_a_secret_that_another_mounted_is_taken_if_nobody_else_may_write_to_it(
    mode: int, is_taken: bool, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.chmod(mode)
    monkeypatch.setattr("os.geteuid", lambda: file.stat().st_uid + 1)
    if is_taken:
        assert token_from(str(file)) == TOKEN
        return
    with pytest.raises(RefusedError, match="Others may read or write"):
        token_from(str(file))


def test_a_secret_where_nothing_can_be_changed_is_taken(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(0o644)
    about = os.statvfs(file)
    mounted = os.statvfs_result((*about[:8], about.f_flag | os.ST_RDONLY, about.f_namemax))
    monkeypatch.setattr("os.fstatvfs", lambda descriptor: mounted)
    assert token_from(str(file)) == TOKEN


def test_a_file_that_git_tracks_is_refused(fleet: Fleet, forge: Forge) -> None:
    fleet.keep_token(TOKEN)
    git(fleet.folder, "init", "--quiet")
    option = ("--token-file", str(fleet.folder / "token"))
    fleet.rollup(*option)  # there, and not added
    git(fleet.folder, "add", "token")
    said = fleet.run("rollup", *option, exit_code=2)
    assert f"git tracks {fleet.folder / 'token'}: whoever has the repository has the token." in said
    (fleet.folder / "link").symlink_to("token")
    assert "git tracks" in fleet.run("rollup", "--token-file", str(fleet.folder / "link"), exit_code=2)


def test_a_terminal_is_refused(fleet: Fleet, forge: Forge) -> None:
    ours, theirs = pty.openpty()
    command = [PROGRAM, "fleet", "rollup", "--fleet", str(fleet.folder / "fleet.toml"), "--token-file", "-"]
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False, timeout=60)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 2
    assert "Standard input is a terminal" in done.stderr


def test_a_standard_input_that_is_closed_is_refused(fleet: Fleet, forge: Forge) -> None:
    script = f"'{PROGRAM}' fleet rollup --fleet {fleet.folder / 'fleet.toml'} --token-file - <&-"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, "Standard input is closed" in done.stderr) == (2, True), done.stderr


def test_a_token_for_no_host_is_refused(fleet: Fleet, file: Path) -> None:
    fleet.add("a")
    assert "does not say for which host the token is" in fleet.run("rollup", "--token-file", str(file), exit_code=2)


# The environment


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("gitlab", {"TWELVEFOLD_TOKEN", "GITLAB_TOKEN"}),
        ("gitlab-push", {"TWELVEFOLD_TOKEN", "GITLAB_TOKEN"}),
        ("github", {"TWELVEFOLD_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"}),
        ("git", {"TWELVEFOLD_TOKEN"}),
    ],
)
def test_a_token_in_the_environment_is_refused_before_anybody_is_asked(
    kind: str, names: set[str], fleet: Fleet, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = [{"url": f"{forge.url}/acme/pay.git"}]
    fleet.configure(f"[forge]\nkind = '{kind}'\nurl = '{forge.url}'\n", services=services)
    for name in NAMES:
        monkeypatch.setenv(name, "some-other-token")
        if name in names:
            said = fleet.run("rollup", exit_code=2)
            assert f"{name} in the environment holds a token, and what runs in a service's repository can read" in said
            assert f"printenv {name} | env -u {name} twelvefold fleet rollup --token-file -" in said
            said = fleet.run("run", "--branch", "x", "--", "true", exit_code=2)
            assert f"env -u {name} twelvefold fleet run --token-file -" in said
            assert "some-other-token" not in said
        monkeypatch.delenv(name)
    assert forge.git_asked == forge.asked == []
    assert not (fleet.folder / ".fleet/clones").exists()
    for name in set(NAMES) - names:
        monkeypatch.setenv(name, "some-other-token")
    code = fleet.invoke("rollup", "--jobs", "1").exit_code
    assert (code, bool(forge.git_asked)) == (3, True)  # without a token, which the forge wants


@pytest.mark.slow
def test_the_command_to_type_works(fleet: Fleet, forge: Forge) -> None:
    refused = begun(fleet, "rollup", GITLAB_TOKEN=TOKEN)
    assert refused.returncode == 2
    command = refused.stderr.partition("Take it out: ")[2].strip()
    script = command.replace("twelvefold fleet rollup", f"'{PROGRAM}' fleet rollup --fleet fleet.toml --jobs 1")
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=fleet.folder,
        env={**os.environ, "GITLAB_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_variable_of_any_name_that_holds_the_token_is_refused(
    fleet: Fleet, forge: Forge, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = base64.b64encode(f"oauth2:{TOKEN}".encode()).decode()
    for value in (TOKEN, f"https://oauth2:{TOKEN}@git.example.com/", f"Authorization: Basic {header}"):
        monkeypatch.setenv("CI_JOB_TOKEN", value)
        said = fleet.run("rollup", "--token-file", str(file), exit_code=2)
        assert f"env -u CI_JOB_TOKEN twelvefold fleet rollup --token-file {file}" in said
        assert TOKEN not in said
        assert header not in said
    assert forge.git_asked == forge.asked == []


@given(st.text(min_size=8, alphabet=st.characters(min_codepoint=33, max_codepoint=126)), st.text(), st.text())
def test_a_token_is_found_wherever_a_variable_has_it(token: str, before: str, after: str) -> None:
    header = base64.b64encode(f"user:{token}".encode()).decode()
    environ = {"PLAIN": f"{before}{token}{after}", "HEADER": f"Basic {header}", "HOME": "/h", "EMPTY": ""}
    assert {"PLAIN", "HEADER"} <= holding(environ, token)
    assert "EMPTY" not in holding(environ, token)
    assert holding(environ, "") == set()


# Where it never is

LOOK = """
import base64, os, pathlib
token = os.environ["LOOK_FOR"].encode()[::-1]
found = []
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    for name in ("environ", "cmdline"):
        try:
            text = (folder / name).read_bytes()
        except OSError:
            continue
        if token in text or base64.b64encode(b"oauth2:" + token) in text:
            found.append(f"{folder.name}/{name}")
try:
    found += ["stdin"] if token in open("/proc/%d/fd/0" % os.getppid(), "rb").read() else []
except OSError:
    pass
pathlib.Path("looked.txt").write_text(repr(found))
"""


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_runs_in_a_repository_finds_the_token_in_no_process(jobs: str, fleet: Fleet, forge: Forge) -> None:
    require_proc()
    command = ("run", "--jobs", jobs, "--branch", "chore/look", "--token-file", "-", "--", sys.executable, "-c", LOOK)
    path = fleet.folder / "input"
    path.write_text(TOKEN, encoding="utf-8")
    name, *rest = command
    with path.open() as opened:  # a file, which whoever inherits it could read again
        done = subprocess.run(
            [PROGRAM, "fleet", name, "--fleet", str(fleet.folder / "fleet.toml"), *rest],
            stdin=opened,
            env={**os.environ, "LOOK_FOR": TOKEN[::-1]},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    for service in ("pay", "mail"):
        assert fleet.show(f"acme/{service}", "looked.txt", "chore/look") == "[]"
