"""The forge's token, out of a file or standard input, and never out of the environment.

What runs in a service's repository runs as the same user. It can read in /proc/PID/environ what a process was started
with, whether that process has forgotten the variable since or not.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import os
import re
import shlex
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from twelvefold.errors import RefusedError
from twelvefold.fleet.config import Config
from twelvefold.git import GitError, git

CUSTOMARY = {
    "git": ("TWELVEFOLD_TOKEN",),
    "github": ("TWELVEFOLD_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"),
    "gitlab": ("TWELVEFOLD_TOKEN", "GITLAB_TOKEN"),
    "gitlab-push": ("TWELVEFOLD_TOKEN", "GITLAB_TOKEN"),
}
"""Variables that hold a token by their name, for each kind of forge."""
LONGEST = 65_536
"""Bytes of a token, at most."""
SHORT = 8
"""Characters: what has fewer is no token of a forge that is known."""
STANDARD_INPUT = "-"
TOKEN = re.compile(r"[!-~]+")
ENCODED = re.compile(r"[\w+/-]{8,}")


def token_of_fleet(config: Config, base: Path, given: str | None) -> str | None:
    """The token that `given`, the option `--token-file`, or else `fleet.toml` in `base` names; None if neither does.

    Raises RefusedError if it cannot be used, or if the environment has one.
    """
    kinds = {config.forge.kind, *("gitlab" if one.gitlab else "github" for one in config.discover)}
    named = {name for kind in kinds for name in CUSTOMARY[kind] if os.environ.get(name)}
    _refuse_environment(sorted(named), given, is_told=bool(given or config.forge.token_file))
    if given and config.forge.kind == "git" and not config.forge.url:
        raise RefusedError(
            "fleet.toml does not say for which host the token is. Write into [forge]: url = 'https://git.example.com'"
        )
    token = token_from(given) if given else None
    if not given and config.forge.token_file:
        token = _of_file(base / _expanded(config.forge.token_file), "token_file in fleet.toml")
    _refuse_environment(sorted(holding(os.environ, token or "")), given, is_told=True)
    return token


def token_from(given: str) -> str:
    """The token in the file that `--token-file` names, or in standard input for `-`. Raises RefusedError."""
    if given == STANDARD_INPUT:
        return _of_standard_input()
    return _of_file(_expanded(given), "--token-file")


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path's own raises


def holding(environ: Mapping[str, str], token: str) -> set[str]:
    """The variables that hold the token, as it is or as a header of HTTP has it."""
    return {name for name, value in environ.items() if token and _holds(value, token)}


def _holds(value: str, token: str) -> bool:
    if len(token) < SHORT:  # a word, which may stand anywhere
        return value == token
    return token in value or token in _decoded(value)


def _decoded(value: str) -> str:
    texts = []
    for encoded in ENCODED.findall(value):
        with contextlib.suppress(binascii.Error):  # it is no base64
            texts.append(base64.urlsafe_b64decode(encoded.replace("+", "-").replace("/", "_") + "=="))
    return b" ".join(texts).decode(errors="replace")


def _refuse_environment(found: Sequence[str], given: str | None, *, is_told: bool) -> None:
    """Raise RefusedError if there are such variables, with the command that is without them."""
    if not found:
        return
    option = f" --token-file {shlex.quote(given)}" if given else ""
    command = " ".join(["env", *(f"-u {name}" for name in found), _command()]) + option
    if not is_told:
        command = f"printenv {found[0]} | {command} --token-file -"
    holds, it = ("holds a token", "it") if len(found) == 1 else ("hold tokens", "them")
    raise RefusedError(
        f"{', '.join(found)} in the environment {holds}, and what runs in a service's repository can read {it} there. "
        f"Take {it} out: {command}"
    )


def _command() -> str:
    context = click.get_current_context(silent=True)
    return f"twelvefold fleet {context.info_name if context else 'rollup'}"


def _of_standard_input() -> str:
    stream = sys.stdin
    if stream is None or stream.closed:
        raise RefusedError("Standard input is closed, so that there is no token in it. Type: ... --token-file - <FILE")
    if stream.isatty():
        raise RefusedError(
            "Standard input is a terminal, which would show the token. Let a program or a file write it there: "
            "pass show gitlab | ... --token-file -"
        )
    content = getattr(stream, "buffer", stream).read(LONGEST + 1)
    # What is started later must find nothing there: it could go back to the beginning of a file.
    with contextlib.suppress(io.UnsupportedOperation):  # no file of the system's
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
    return _token_in(content.encode() if isinstance(content, str) else content, "Standard input")


def _of_file(path: Path, where: str) -> str:
    """The token in a file. What is said of a file that is not there does not name it: it may be the token itself."""
    try:
        file = path.open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no name of a file"
        raise RefusedError(
            f"The file that {where} names cannot be read: {reason}. It takes the name of a file that holds the token, "
            "not the token itself: --token-file FILE"
        ) from error
    with file:
        _refuse_kind(os.fstat(file.fileno()), path)
        _refuse_readers(file.fileno(), path)
        _refuse_tracked(path)
        return _token_in(file.read(LONGEST + 1), str(path))


def _refuse_kind(about: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(about.st_mode) and not stat.S_ISFIFO(about.st_mode):
        raise RefusedError(f"{path} is no file. Name the file that holds the token: --token-file FILE")


def _refuse_readers(descriptor: int, path: Path) -> None:
    """Raise RefusedError if others may read the file, and its owner is who runs this and could change that.

    A secret that is mounted into a container often belongs to another, or lies where nothing can be changed: who
    mounted it said who reads it. Nobody else may write to it, whoever it belongs to.
    """
    about = os.fstat(descriptor)
    is_mounted = bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY)
    is_ours = os.geteuid() in {about.st_uid, 0}
    others = stat.S_IRWXG | stat.S_IRWXO if is_ours else stat.S_IWGRP | stat.S_IWOTH
    if stat.S_ISREG(about.st_mode) and about.st_mode & others and not is_mounted:
        file = shlex.quote(str(path))
        raise RefusedError(
            f"Others may read or write {path}, which holds the token. Run: chmod 600 {file}; or, where that cannot be, "
            f"hand it over: {_command()} --token-file - <{file}"
        )


def _refuse_tracked(path: Path) -> None:
    real = path.resolve()
    try:
        is_tracked = bool(git(real.parent, "--literal-pathspecs", "ls-files", "--cached", "--", real.name))
    except GitError:  # it lies in no repository
        is_tracked = False
    if is_tracked:
        raise RefusedError(
            f"git tracks {path}: whoever has the repository has the token. Take it back on the forge, make a new one, "
            "and keep it outside of the repository, or out of git: git rm --cached, .gitignore"
        )


def _token_in(content: bytes, where: str) -> str:
    """The token, without the line's end. Raises RefusedError if that is no token."""
    text = content.decode(errors="replace").removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise RefusedError(f"{where} is empty, where the token should be. Write the token into it, and nothing else.")
    if "\n" in text:
        raise RefusedError(f"{where} has several lines, where one token should be. Leave the token, and nothing else.")
    if not TOKEN.fullmatch(text) or len(content) > LONGEST:
        raise RefusedError(f"{where} holds what no token has: spaces, other signs than ASCII, or 64 KiB of them.")
    return text
