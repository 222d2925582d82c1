"""Run a command that fetches packages as pip is told to: from its index, through its proxy, trusting its authority.

Used by the Makefile: python .fetch.py uv sync --frozen. The template owns this file. What uv or the environment says by
itself wins over what pip is told. An index that uv.lock does not name is asked for the same files by their hashes;
uv.lock stays as it is. A command that is not uv, such as pytest, is given the variables for the uv that it runs.
The exit code is the command's. docs/closed-network.md of the template tells more.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PYPI = "https://pypi.org/simple"
OF_UV = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_NO_INDEX", "UV_FIND_LINKS")
KEYS_OF_UV = ("index-url", "extra-index-url", "find-links", "no-index")
SECTIONS = ("global", "install", ":env:")  # the later wins, as for pip
OF_SYNC_ALONE = ("--compile-bytecode", "--no-editable", "--no-install-local")  # `uv export` does not know them
LENT = Path("/run/secrets/authority")  # to the build of an image
MOST_KEPT = 65_536  # of what the command wrote to stderr, in bytes, to look for a known cause
BEGINS = re.compile(
    r"^(error: |ERROR: |WARNING: Retrying)", re.MULTILINE
)  # how uv and pip begin, and no tool of theirs

ADVICE = (
    (
        r"UnknownIssuer|invalid peer certificate|CERTIFICATE_VERIFY_FAILED",
        "The index is signed by an authority that is not trusted here. Put it into the system's store, or say where it "
        "is: pip config set global.cert /path/to/authority.pem",
    ),
    (
        r"\b(401|403|407)\b|[Uu]nauthorized|[Ff]orbidden",
        "The index or the proxy wants to know who asks: a machine, login and password in ~/.netrc, or in the address.",
    ),
    (
        r"dns error|failed to lookup|[Cc]onnection refused|[Nn]etwork is unreachable|[Nn]ame or service not known|"
        r"[Nn]o route to host|tunnel|[Cc]onnect(ion)? timed? ?out|error sending request|operation timed out",
        "The index cannot be reached. Where there is another: pip config set global.index-url "
        "https://index.example/simple; where there is a proxy: export HTTPS_PROXY=http://proxy.example:3128",
    ),
    (
        r"from versions: none",
        "pip's index does not have it, or wants to know who asks. Its address: pip config list; who asks: a machine, "
        "login and password in ~/.netrc",
    ),
)


def settings_of_pip(told: str) -> dict[str, str]:
    """What `pip config list` told: each setting with its value. Lines that are none, such as warnings, are left out."""
    found: dict[str, str] = {}
    lines = [match for line in told.splitlines() if (match := re.fullmatch(r"([\w:-]+)\.([\w-]+)=(.*)", line))]
    for section in SECTIONS:
        for line in lines:
            if line[1] == section:
                with contextlib.suppress(ValueError, SyntaxError):
                    found[line[2]] = str(ast.literal_eval(line[3]))
    return found


def variables_of(settings: Mapping[str, str], given: Mapping[str, str], *, own_index: bool = False) -> dict[str, str]:
    """The variables of uv for settings of pip, beside those that are `given` already; no index if uv has its own.

    An extra index is none of them: pip takes from it what has the name of anybody's package, and uv.lock would name it.
    """
    index = settings.get("index-url", "")
    proxy = settings.get("proxy", "")
    wanted = {
        "UV_DEFAULT_INDEX": "" if own_index or _same(index, PYPI) else index,
        "UV_INSECURE_HOST": " ".join(settings.get("trusted-host", "").split()),
        "SSL_CERT_FILE": settings.get("cert", ""),
        "HTTPS_PROXY": proxy,
        "HTTP_PROXY": proxy,
    }
    taken = {name.upper() for name, value in given.items() if value}
    if "ALL_PROXY" in taken:
        taken |= {"HTTPS_PROXY", "HTTP_PROXY"}
    return {name: value for name, value in wanted.items() if value and name not in taken}


def has_index_of_its_own(folder: Path, given: Mapping[str, str]) -> bool:
    """Whether uv is told of an index: by the environment, by a uv.toml, or by a pyproject.toml from `folder` upwards.

    An explicit index serves those packages alone that name it, so it is none in the place of PyPI.
    """
    if any(given.get(name) for name in OF_UV):
        return True
    return any(_names_an_index(table) for table in _tables_of_uv(folder, given))


def default_index(folder: Path, given: Mapping[str, str]) -> str:
    """The index that uv asks in the place of PyPI; "" if it is told of none."""
    for table in _tables_of_uv(folder, given):
        defaults = [one.get("url") for one in _indexes(table) if one.get("default")]
        if url := next(filter(None, (table.get("index-url"), *defaults)), None):
            return str(url)
    return ""


def explicit_indexes(folder: Path, given: Mapping[str, str]) -> set[str]:
    """The indexes that serve only those packages that name them."""
    tables = _tables_of_uv(folder, given)
    return {str(one["url"]) for table in tables for one in _indexes(table) if one.get("explicit") and one.get("url")}


def _tables_of_uv(folder: Path, given: Mapping[str, str]) -> Iterator[Mapping[str, object]]:
    for parent in (folder, *folder.parents):
        yield _read(parent / "uv.toml")
        tool = _read(parent / "pyproject.toml").get("tool")
        of_uv = tool.get("uv") if isinstance(tool, dict) else None
        if isinstance(of_uv, dict):
            yield of_uv
    home = Path(given.get("XDG_CONFIG_HOME") or f"{given.get('HOME', '')}/.config")
    systems = (given.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    for path in (given.get("UV_CONFIG_FILE"), home / "uv/uv.toml", *(f"{each}/uv/uv.toml" for each in systems)):
        if path:
            yield _read(Path(path))
    yield _read(Path("/etc/uv/uv.toml"))


def _names_an_index(of_uv: Mapping[str, object]) -> bool:
    return any(not one.get("explicit") for one in _indexes(of_uv)) or any(of_uv.get(key) for key in KEYS_OF_UV)


def _indexes(of_uv: Mapping[str, object]) -> list[dict[str, object]]:
    indexes = of_uv.get("index")
    return [one for one in indexes if isinstance(one, dict)] if isinstance(indexes, list) else []


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # what is no TOML, uv says itself
        return {}


def registries(lock: Mapping[str, object], explicit: set[str]) -> tuple[set[str], set[str]]:
    """The indexes that a uv.lock names, without explicit ones, and the packages that none of them has.

    These come from a git host, an address or an explicit index, where uv asks for them whatever else it is told.
    """
    indexes, others = set(), set()
    packages = lock.get("package")
    for package in packages if isinstance(packages, list) else ():
        source = package.get("source", {})
        index = source.get("registry", "")
        if "://" in index and not any(_same(index, url) for url in explicit):
            indexes.add(index)
        elif index or {"git", "url"} & {*source}:
            others.add(package["name"])
    return indexes, others


def _same(one: str, other: str) -> bool:
    return _bare(one) == _bare(other)


def _bare(url: str) -> str:
    """An address without the name before it, and without the user and the password in it."""
    return re.sub(r"^[\w.-]+=(?=\w+:)|(?<=://)[^/@]*@", "", url).rstrip("/")


def of_pip(program: str) -> dict[str, str]:
    """The settings of this Python's pip, or else of that of its environment's, or of `program`'s; none without a pip.

    Debian's Python has none, but an environment that uv was installed into.
    """
    pythons = (sys.executable, getattr(sys, "_base_executable", sys.executable), str(Path(program).with_name("python")))
    for python in dict.fromkeys(pythons):
        command = [python, "-m", "pip", "--no-input", "config", "list"]
        with contextlib.suppress(OSError):
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)  # noqa: S603
            if done.returncode == 0:
                return settings_of_pip(done.stdout.decode(errors="replace"))
    return {}


def fetch(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run `command`, pass on what it writes, and add to a failure what can be done about it. Returns its exit code."""
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:  # noqa: S603
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command has it too, and says how it ends
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        kept, stream = b"", process.stderr
        while stream and (piece := os.read(stream.fileno(), 8192)):
            sys.stderr.buffer.write(piece)
            sys.stderr.buffer.flush()
            kept = (kept + piece)[-MOST_KEPT:]
    code = process.returncode
    if code > 0 and (advice := advice_on(kept.decode(errors="replace"))):
        sys.stderr.write(f"{advice}\n")
    return code if code >= 0 else 128 - code


def advice_on(said: str) -> str:
    """What to do about a failure that is known, in one line; "" about any other, such as one of a tool that uv ran."""
    begin = BEGINS.search(said)
    found = (advice for cause, advice in ADVICE if begin and re.search(cause, said[begin.start() :]))
    return next(found, "")


def by_hashes(command: Sequence[str], environment: Mapping[str, str], root: Path, others: set[str]) -> int:
    """Install what the uv.lock in `root` names, without `others`, from the index that the environment names.

    `command`, which asks where the lock says, finds that done.
    """
    uv, _, *options = command
    options = [option for option in options if option not in OF_SYNC_ALONE]
    quiet = [option for option in options if option == "--quiet"]
    left_out = ["--no-emit-local", *(f"--no-emit-package={name}" for name in sorted(others))]
    target = root / (environment.get("UV_PROJECT_ENVIRONMENT") or ".venv")
    with tempfile.TemporaryDirectory() as folder:
        wanted = f"{folder}/requirements.txt"
        export = [uv, "export", *options, *{"--quiet"} - {*quiet}, *left_out, "--output-file", wanted]
        done = subprocess.run(export, env=environment, stdout=subprocess.DEVNULL, check=False)  # noqa: S603
        if done.returncode:
            return done.returncode
        if not (target / "pyvenv.cfg").exists() and (code := fetch([uv, "venv", *quiet, str(target)], environment)):
            return code
        install = [uv, "pip", "install", *quiet, "--no-deps", "--require-hashes", "--python", str(target)]
        return fetch([*install, "--requirement", wanted], environment)


def is_up_to_date(uv: str, environment: Mapping[str, str], index: str) -> bool:
    """Whether `uv lock` would change nothing, by the index that uv.lock names. Nothing is asked of it."""
    check = [uv, "lock", "--check", "--offline", "--quiet"]
    done = subprocess.run(check, env={**environment, "UV_DEFAULT_INDEX": index}, capture_output=True, check=False)  # noqa: S603
    return done.returncode == 0


def prepared(command: Sequence[str], environment: Mapping[str, str]) -> int | None:
    """Do what `uv sync` and `uv lock` would ask another index for; return an exit code if nothing is left to do."""
    folder = Path.cwd()
    # Services of one workspace share the lock of its root.
    root = next((each for each in (folder, *folder.parents) if (each / "uv.lock").is_file()), None)
    said = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL")
    default = said or default_index(folder, environment)
    if not root or not default:
        return None
    indexes, others = registries(_read(root / "uv.lock"), explicit_indexes(folder, environment))
    if all(_same(index, default) for index in indexes):
        return None
    if command[1] == "sync":
        return by_hashes(command, environment, root, others) or None
    if "--upgrade" not in command and len(indexes) == 1 and is_up_to_date(command[0], environment, *indexes):
        return 0
    return None


def main(command: Sequence[str]) -> int:
    """Run `command` with what pip is told of."""
    lent = {"SSL_CERT_FILE": str(LENT), "PIP_CERT": str(LENT)} if LENT.is_file() else {}
    environment = {**os.environ, **lent}
    is_pip = "pip" in {Path(command[0]).name, *command[2:3]}  # which knows its settings
    if not is_pip:
        own = has_index_of_its_own(Path.cwd(), environment)
        environment |= variables_of(of_pip(command[0]), environment, own_index=own)
    try:
        if Path(command[0]).name == "uv" and {*command[1:2]} & {"sync", "lock"}:
            code = prepared(command, environment)
            if code is not None:
                return code
        return fetch(command, environment)
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be run: {error.strerror}\n")
        return 127


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
