"""What fetches packages asks whom pip asks: an index of the company's, over its own authority, and nobody else."""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import shutil
import ssl
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from commands import Done, run, succeed
from conftest import Render
from environments import TEMPLATE, without_project
from index_server import open_index
from locks import BACKEND, Desk
from renders import FOLDER

FETCH = TEMPLATE / FOLDER / ".fetch.py"
NOWHERE = "http://127.0.0.1:9"
TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"))


def loaded() -> ModuleType:
    specification = importlib.util.spec_from_file_location("fetch", FETCH)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


fetch = loaded()


def test_of_a_setting_the_nearest_counts() -> None:
    told = (
        "WARNING: Location 'file:///nowhere/' is ignored\n"
        ":env:.cert='/of/the/environment'\n"
        "global.cert='/of/a/file'\nglobal.index-url='https://global.example/simple'\n"
        "install.index-url='https://install.example/simple'\nlist.format='json'\n"
    )
    assert fetch.settings_of_pip(told) == {
        "cert": "/of/the/environment",
        "index-url": "https://install.example/simple",
    }


@given(value=TEXTS)
def test_any_value_is_read_as_pip_writes_it(value: str) -> None:
    assert fetch.settings_of_pip(f"global.index-url={value!r}\n") == {"index-url": value}


@given(told=st.text())
def test_whatever_pip_says_is_no_fault(told: str) -> None:
    assert isinstance(fetch.settings_of_pip(told), dict)


@pytest.mark.parametrize(
    ("settings", "given_", "expected"),
    [
        ({}, {}, {}),
        ({"index-url": "https://pypi.org/simple/"}, {}, {}),
        ({"index-url": "https://a.example/simple"}, {}, {"UV_DEFAULT_INDEX": "https://a.example/simple"}),
        ({"extra-index-url": "file:///opt/pypi/simple https://b.example"}, {}, {}),
        ({"cert": "/a.pem"}, {"SSL_CERT_FILE": "/b.pem"}, {}),
        ({"proxy": "http://p:3128"}, {}, {"HTTPS_PROXY": "http://p:3128", "HTTP_PROXY": "http://p:3128"}),
        ({"proxy": "http://p:3128"}, {"https_proxy": "http://q"}, {"HTTP_PROXY": "http://p:3128"}),
        ({"proxy": "http://p:3128"}, {"all_proxy": "http://q"}, {}),
        ({"trusted-host": "\na.example\nb.example"}, {}, {"UV_INSECURE_HOST": "a.example b.example"}),
    ],
)
def test_uv_is_told_what_pip_is_told(
    settings: dict[str, str], given_: dict[str, str], expected: dict[str, str]
) -> None:
    assert fetch.variables_of(settings, given_) == expected


def test_of_pip_uv_takes_the_authority_beside_an_index_of_its_own() -> None:
    settings = {"index-url": "https://a.example/simple", "cert": "/a.pem"}
    assert fetch.variables_of(settings, {}, own_index=True) == {"SSL_CERT_FILE": "/a.pem"}


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ('index-url = "https://a.example"', "https://a.example"),
        (
            '[[index]]\nurl = "https://a.example"\n[[index]]\nurl = "https://b.example"\ndefault = true',
            "https://b.example",
        ),
        ('[[index]]\nurl = "https://a.example"', ""),
        ("offline = true", ""),
    ],
)
def test_the_index_in_the_place_of_pypi_is_found(text: str, index: str, tmp_path: Path) -> None:
    (tmp_path / "uv.toml").write_text(text, encoding="utf-8")
    assert fetch.default_index(tmp_path, {"XDG_CONFIG_HOME": str(tmp_path / "none")}) == index


def test_a_lock_names_indexes_and_what_none_of_them_has() -> None:
    sources = {
        "a": {"registry": "https://pypi.org/simple"},
        "b": {"registry": "https://own.example/simple"},
        "c": {"registry": "../wheels"},
        "d": {"git": "https://git.example/d?rev=1#2"},
        "e": {"url": "https://e.example/e-1-py3-none-any.whl"},
        "f": {"editable": "."},
        "g": {"path": "g-1-py3-none-any.whl"},
    }
    lock = {"package": [{"name": name, "source": source} for name, source in sources.items()]}
    expected = ({"https://pypi.org/simple"}, {"b", "c", "d", "e"})
    assert fetch.registries(lock, {"https://robot:hunter2@own.example/simple/"}) == expected
    assert fetch.registries({}, set()) == (set(), set())


@pytest.mark.parametrize(
    "other", ["https://a.example/simple/", "https://me:secret@a.example/simple", "name=https://a.example/simple"]
)
def test_an_index_is_the_same_whoever_asks_it_and_whatever_it_is_called(other: str) -> None:
    assert fetch._same("https://a.example/simple", other)
    assert not fetch._same("https://b.example/simple", other)


@pytest.mark.parametrize(
    ("path", "text", "has"),
    [
        ("uv.toml", 'index-url = "https://a.example"', True),
        ("uv.toml", "offline = true", False),
        ("uv.toml", "this is no TOML", False),
        ("../uv.toml", '[[index]]\nurl = "https://a.example"', True),
        ("pyproject.toml", '[[tool.uv.index]]\nname = "a"\nurl = "https://a.example"\ndefault = true', True),
        ("pyproject.toml", '[[tool.uv.index]]\nname = "a"\nurl = "https://a.example"\nexplicit = true', False),
        ("pyproject.toml", "[tool.uv]\nno-index = true", True),
        ("pyproject.toml", "[project]\nname = 'a'", False),
        ("../config/uv/uv.toml", 'index-url = "https://a.example"', True),
        ("../system/uv/uv.toml", 'index-url = "https://a.example"', True),
    ],
)
def test_what_uv_is_told_by_itself_is_found(path: str, text: str, has: bool, tmp_path: Path) -> None:
    folder = tmp_path / "service"
    folder.mkdir()
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text, encoding="utf-8")
    where = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "XDG_CONFIG_DIRS": str(tmp_path / "system")}
    assert fetch.has_index_of_its_own(folder, where) is has


@pytest.mark.parametrize("name", ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_NO_INDEX"])
def test_a_variable_of_uv_is_one(name: str, tmp_path: Path) -> None:
    assert fetch.has_index_of_its_own(tmp_path, {name: "1"})
    assert not fetch.has_index_of_its_own(tmp_path, {name: "", "XDG_CONFIG_HOME": str(tmp_path)})


def written(path: Path, *lines: str) -> Path:
    """A script of a shell's."""
    path.write_text("\n".join(("#!/bin/sh", *lines, "")), encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("code", [0, 3])
@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("error: Failed to fetch: x\n  cause: invalid peer certificate: UnknownIssuer", "pip config set global.cert"),
        ("error: No solution found\n\nhint: An index (x) returned a 403 Forbidden error.", "~/.netrc"),
        ("error: x\n  cause: dns error\n  cause: failed to lookup address information", "global.index-url"),
        ("error: x\n  cause: tcp connect error\n  cause: Connection refused (os error 111)", "HTTPS_PROXY"),
        ("WARNING: Retrying after connection broken by 'SSLError(CERTIFICATE_VERIFY_FAILED)'", "global.cert"),
        ("ERROR: Could not find a version that satisfies the requirement uv (from versions: none)", "pip config list"),
        ("error: No solution found when resolving dependencies", ""),
        ("https://gitlab.example says 403 Forbidden", ""),  # a tool that uv ran
    ],
)
def test_a_failure_that_is_known_comes_with_advice(said: str, advice: str, code: int, tmp_path: Path) -> None:
    uv = written(tmp_path / "uv", "echo out", f"cat >&2 <<'END'\n{said}\nEND", f"exit {code}")
    done = run(sys.executable, FETCH, uv, "tool", "run")
    assert (done.returncode, done.stdout) == (code, "out\n")
    own, further = done.stderr[: len(said) + 1], done.stderr[len(said) + 1 :]
    assert own == f"{said}\n"
    assert further.count("\n") == (1 if advice and code else 0)
    assert not code or advice in further


def test_what_cannot_be_run_is_told_in_a_sentence() -> None:
    done = run(sys.executable, FETCH, "/no/such/program")
    assert (done.returncode, done.stderr) == (127, "/no/such/program cannot be run: No such file or directory\n")


def test_what_was_ended_by_a_signal_ends_as_a_shell_says_it() -> None:
    assert run(sys.executable, FETCH, "sh", "-c", "kill -TERM $$").returncode == 143


@dataclass
class Company:
    """A service whose lock names an index that cannot be reached, and a pip that knows another, the company's."""

    service: Path
    home: Path
    index: str
    authority: Path
    asked: list[str]
    own: str
    """An index of the team's, which serves one package alone."""
    apart: list[str]
    """What was asked of that."""

    def environment(self, *, trusts: bool = True) -> dict[str, str]:
        lines = ["[global]", f"index-url = {self.index}", f"cert = {self.authority if trusts else os.devnull}"]
        config = self.home / "pip.conf"
        config.write_text("\n".join(lines), encoding="utf-8")
        kept = {
            name: value for name, value in without_project().items() if not name.startswith(("PIP_", "UV_", "SSL_"))
        }
        caches = {"UV_CACHE_DIR": str(self.home / "cache"), "XDG_CONFIG_HOME": str(self.home), "UV_HTTP_RETRIES": "0"}
        nobody = {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1"}
        return {**kept, **caches, **nobody, "PIP_CONFIG_FILE": str(config)}

    def make(self, target: str, environment: Mapping[str, str]) -> Done:
        return run("make", target, cwd=self.service, env=environment)

    def has(self, name: str) -> bool:
        return bool([*self.service.glob(f".venv/lib/python*/site-packages/{name}-*.dist-info")])


@pytest.fixture
def company(fresh: Render, tmp_path: Path) -> Iterator[Company]:
    desk = Desk(tmp_path / "desk")
    service = fresh()
    for folder in ("src", "vendor"):
        shutil.rmtree(service / folder)
    (service / "backend.py").write_text(editable(), encoding="utf-8")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    of_desk = desk.folder / "index"
    with open_index(of_desk, context) as (index, asked), open_index(of_desk) as (own, apart):
        (service / "pyproject.toml").write_text(PROJECT.format(own=own) + BACKEND, encoding="utf-8")
        with open_index(of_desk) as (first, _):
            public = {**without_project(), "UV_DEFAULT_INDEX": first, "UV_CACHE_DIR": str(tmp_path / "other")}
            succeed("uv", "lock", "--quiet", cwd=service, env=public)
        yield Company(service, tmp_path, index, tmp_path / "authority.pem", asked, own, apart)


PROJECT = """\
[project]
name = "my-service"
version = "1"
requires-python = ">=3.11"
dependencies = ["leaf", "other"]
[tool.uv.sources]
other = {{ index = "own" }}
[[tool.uv.index]]
name = "own"
url = "{own}"
explicit = true
"""


def editable() -> str:
    """A build backend that has no requirements."""
    return (
        "import zipfile\n"
        "def build_editable(folder, settings=None, metadata=None):\n"
        "    name = 'my_service-1-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(f'{folder}/{name}', 'w') as file:\n"
        "        info = 'my_service-1.dist-info'\n"
        "        file.writestr(f'{info}/METADATA', 'Metadata-Version: 2.1\\nName: my-service\\nVersion: 1\\n')\n"
        "        file.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        "        file.writestr(f'{info}/RECORD', '')\n"
        "    return name\n"
    )


def test_what_the_lock_names_comes_from_the_index_that_pip_has(company: Company) -> None:
    """By its hashes: the lock stays as it is, and a package with an index of its own comes from there."""
    lock = (company.service / "uv.lock").read_bytes()
    environment = company.environment()
    done = company.make("install", environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(map(company.has, ("leaf", "other", "my_service")))
    assert "/simple/leaf/" in company.asked
    assert not [path for path in company.asked if "other" in path]
    assert [path for path in company.apart if "other" in path]
    assert (company.service / "uv.lock").read_bytes() == lock
    # Later commands ask for nothing: whoever touches pyproject.toml, as git does, has not changed what it requires.
    company.asked.clear()
    company.apart.clear()
    (company.service / "pyproject.toml").touch()
    assert company.make("install", environment).returncode == 0
    succeed("uv", "run", "--frozen", "--offline", "python", "-c", "pass", cwd=company.service, env=environment)
    assert company.asked + company.apart == []
    assert (company.service / "uv.lock").read_bytes() == lock


def test_a_requirement_more_is_locked_by_the_index_that_pip_has(company: Company) -> None:
    project = company.service / "pyproject.toml"
    project.write_text(project.read_text(encoding="utf-8").replace('["leaf", ', '["leaf", "needs", '), encoding="utf-8")
    done = company.make("install", company.environment())
    assert done.returncode == 0, done.stdout + done.stderr
    assert company.has("needs")


def test_an_index_that_uv_has_serves_what_the_lock_names_too(company: Company) -> None:
    """uv's own variable, without any setting of pip's."""
    lock = (company.service / "uv.lock").read_bytes()
    settings = {"UV_DEFAULT_INDEX": company.index, "SSL_CERT_FILE": str(company.authority)}
    done = company.make("install", {**company.environment(), "PIP_CONFIG_FILE": os.devnull, **settings})
    assert done.returncode == 0, done.stdout + done.stderr
    assert company.has("leaf")
    assert (company.service / "uv.lock").read_bytes() == lock


def test_another_file_of_that_name_is_refused(company: Company) -> None:
    lock = company.service / "uv.lock"
    text = lock.read_text(encoding="utf-8")
    lock.write_text(re.sub(r'hash = "sha256:.{8}', 'hash = "sha256:00000000', text), encoding="utf-8")
    done = company.make("install", company.environment())
    assert done.returncode == 2
    assert "ash mismatch" in done.stderr
    assert not company.has("leaf")


def test_services_of_a_workspace_share_what_is_installed(company: Company) -> None:
    root = company.home / "workspace"
    member = root / "services/a"
    member.mkdir(parents=True)
    shutil.copy(company.service / "backend.py", member)
    project = '[project]\nname = "my-service"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["leaf"]\n'
    (member / "pyproject.toml").write_text(project + BACKEND, encoding="utf-8")
    (root / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["services/*"]\n', encoding="utf-8")
    public = {**without_project(), "UV_DEFAULT_INDEX": company.own, "UV_CACHE_DIR": str(company.home / "other")}
    succeed("uv", "lock", "--quiet", cwd=root, env=public)
    company.apart.clear()
    uv = str(shutil.which("uv"))
    command = (sys.executable, FETCH, uv, "sync", "--frozen", "--quiet", "--all-packages")
    succeed(*command, cwd=member, env=company.environment())
    assert [*root.glob(".venv/lib/python*/site-packages/leaf-*.dist-info")]
    assert not (member / ".venv").exists()
    assert "/simple/leaf/" in company.asked
    assert company.apart == []


def test_an_authority_that_nobody_trusts_is_told_with_what_to_type(company: Company) -> None:
    done = company.make("install", company.environment(trusts=False))
    assert done.returncode == 2
    assert "pip config set global.cert /path/to/authority.pem\n" in done.stderr


def test_what_uv_is_told_by_itself_wins(company: Company) -> None:
    (company.home / "uv").mkdir()
    (company.home / "uv/uv.toml").write_text(f'index-url = "{NOWHERE}/simple"\n', encoding="utf-8")
    done = company.make("install", company.environment())
    assert done.returncode == 2
    assert company.asked == []


def test_a_new_lock_is_of_the_index_that_pip_has(company: Company) -> None:
    """Without the password that pip's setting has."""
    (company.service / "uv.lock").unlink()
    address = company.index
    company.index = address.replace("://", "://robot:hunter2@")
    done = company.make("install", company.environment())
    assert done.returncode == 0, done.stdout + done.stderr
    lock = (company.service / "uv.lock").read_text(encoding="utf-8")
    assert address in lock
    assert "hunter2" not in lock


def test_it_is_the_pip_of_the_python_that_make_has(tmp_path: Path) -> None:
    """Of a virtual environment without one, such as uv makes, that of the Python that it is of."""
    succeed(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    show = written(tmp_path / "uv", "env >env")
    of_file = tmp_path / "pip.conf"
    of_file.write_text("[global]\nindex-url = https://a.example/simple\n", encoding="utf-8")
    base = run(Path(sys.executable).resolve(), "-m", "pip", "--version").returncode == 0
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PIP_CONFIG_FILE": str(of_file)}
    for own, index in (("", "https://a.example/simple" if base else ""), ("https://b.example", "https://b.example")):
        if own:
            (packages,) = tmp_path.glob("venv/lib/python*/site-packages")
            (packages / "pip.py").write_text(f"print(\"global.index-url='{own}'\")\n", encoding="utf-8")
        succeed(tmp_path / "venv/bin/python", FETCH, show, "lock", cwd=tmp_path, env=environment)
        said = (tmp_path / "env").read_text(encoding="utf-8")
        assert re.findall(r"UV_DEFAULT_INDEX=(.*)", said) == [index] * bool(index)


def test_without_a_pip_there_it_is_that_beside_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's Python has none; the environment that make installs uv into has."""
    for name in ("executable", "_base_executable"):
        monkeypatch.setattr(sys, name, str(tmp_path / "none"))
    assert fetch.of_pip(str(tmp_path / "uv")) == {}
    written(tmp_path / "python", "echo \"global.index-url='https://a.example/simple'\"")
    assert fetch.of_pip(str(tmp_path / "uv")) == {"index-url": "https://a.example/simple"}


def test_another_program_is_told_for_the_uv_that_it_runs(tmp_path: Path) -> None:
    (tmp_path / "pip.py").write_text("print(\"global.index-url='https://a.example/simple'\")\n", encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    show = written(tmp_path / "pytest", 'echo "$UV_DEFAULT_INDEX"')
    assert succeed(sys.executable, FETCH, show, cwd=tmp_path, env=environment) == "https://a.example/simple\n"


def test_the_build_of_an_image_is_lent_what_somebody_says(fresh: Render, tmp_path: Path) -> None:
    service = fresh()
    (service / "uv.lock").touch()
    builder = written(tmp_path / "builder", 'printf "%s\\n" "$@"')
    command = ("make", "--silent", "image", f"BUILDER={builder}", "VERSION=1")
    assert "--secret" not in succeed(*command, cwd=service, env=without_project())
    said = succeed(*command, "PIP_CONF=/etc/pip.conf", "AUTHORITY=/a b.pem", cwd=service, env=without_project())
    secrets = [given for option, given in itertools.pairwise(said.splitlines()) if option == "--secret"]
    assert secrets == ["id=pip,src=/etc/pip.conf", "id=authority,src=/a b.pem"]


def test_each_command_of_the_image_that_fetches_is_lent_both(rendered: Render) -> None:
    text = (rendered() / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    fetching = [line for line in text.splitlines() if re.search(r"pip install|uv sync", line)]
    assert len(fetching) == 3
    for line in fetching:
        assert "--mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=authority " in line
        assert re.search(r"/uv/bin/python \.fetch\.py /uv/bin/(pip install|uv sync) ", line)


@pytest.mark.parametrize("of", ["service", "template"])
def test_no_command_of_make_fetches_by_itself(of: str, rendered: Render) -> None:
    """`uv run --frozen` finds all there; the others ask nobody."""
    text = ((rendered() if of == "service" else TEMPLATE) / "Makefile").read_text(encoding="utf-8")
    alone = re.findall(r'(?<!\$\(FETCH\) )"\$\(UV\)" (\w+)', text)
    assert {*alone} <= {"run", "version", "export"}
    assert len(re.findall(r"\$\(FETCH\) ", text)) >= (8 if of == "service" else 3)
