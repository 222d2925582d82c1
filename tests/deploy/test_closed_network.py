"""A service where PyPI cannot be reached, and pip alone knows of an index: installed, tested, made an image."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from filelock import FileLock

from commands import succeed
from conftest import commit, git
from containers import buildah, built, needs_containers, run_once
from environments import CACHE, render, without_project
from index_server import open_index

NOWHERE = "http://127.0.0.1:9"
OF_DEBIAN = "313"  # the Python of the base that images are built on
# What says here which authorities are trusted, and where packages are.
OF_THIS_MACHINE = ("PIP_", "UV_", "SSL_", "REQUESTS_", "CURL_")
LIBC = [f"--platform={name}_{platform.machine()}" for name in ("manylinux2014", "manylinux_2_17", "manylinux_2_28")]

pytestmark = pytest.mark.slow


@dataclass
class Closed:
    """A committed service, and the index that has what its lock names."""

    service: Path
    pip_conf: Path
    authority: Path
    index: str
    asked: list[str]

    def make(self, *targets: str, **more: str) -> str:
        """Run make with no uv on the PATH, where pip alone is told of the index and PyPI cannot be reached."""
        kept = {name: value for name, value in without_project().items() if not name.startswith(OF_THIS_MACHINE)}
        folders = [folder for folder in kept["PATH"].split(os.pathsep) if not Path(folder, "uv").exists()]
        nobody = {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "NO_PROXY": "localhost"}
        own = {"PATH": os.pathsep.join(folders), "PIP_CONFIG_FILE": str(self.pip_conf), **nobody, **more}
        python = f"PYTHON={getattr(sys, '_base_executable', sys.executable)}"
        return succeed("make", *targets, python, cwd=self.service, env={**kept, **own})


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    folder = tmp_path_factory.mktemp("closed")
    service = render(folder)
    succeed("uv", "lock", "--quiet", cwd=service, env=without_project())
    commit(service, "Rendered")
    wheels = mirrored(service, folder)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with open_index(wheels, context) as (address, asked):
        index = address.replace("127.0.0.1", "localhost")  # the pip of Debian 13 takes no https of a mere number
        pip_conf = folder / "pip.conf"
        told = f"[global]\nindex-url = {index}\ncert = {folder / 'authority.pem'}\n"
        pip_conf.write_text(told, encoding="utf-8")
        yield Closed(service, pip_conf, folder / "authority.pem", index, asked)


def mirrored(service: Path, folder: Path) -> Path:
    """A folder with the wheels of what the service's lock names, and uv: for this Python and Debian's. Made once."""
    everything = folder / "requirements.txt"
    shipped = folder / "shipped.txt"
    for file, options in ((everything, ()), (shipped, ("--no-dev",))):
        export = ("uv", "export", "--frozen", "--quiet", "--no-header", "--no-emit-local", *options)
        succeed(*export, "--output-file", file, cwd=service, env=without_project())
    uv = re.findall(r"^UV_VERSION := (.*)$", (service / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    key = hashlib.sha256(everything.read_bytes() + f"{uv}{sys.version_info[:2]}".encode()).hexdigest()[:12]
    kept = CACHE.parent / "mirror" / key
    kept.parent.mkdir(exist_ok=True)
    with FileLock(f"{kept}.lock"):
        if not kept.is_dir():
            shutil.rmtree(f"{kept}.new", ignore_errors=True)
            succeed(sys.executable, "-m", "venv", folder / "venv")
            download = (folder / "venv/bin/pip", "download", "--quiet", "--no-deps", "--only-binary=:all:")
            into = ("--dest", f"{kept}.new")
            succeed(*download, *into, f"uv=={uv[0]}")
            succeed(*download, *into, "--requirement", everything)
            abis = [f"--abi={abi}" for abi in (f"cp{OF_DEBIAN}", "abi3", "none")]
            succeed(*download, *into, f"--python-version={OF_DEBIAN}", *abis, *LIBC, "--requirement", shipped)
            Path(f"{kept}.new").rename(kept)
    return kept


def test_it_is_installed_from_nothing_and_its_tests_pass(closed: Closed, tmp_path: Path) -> None:
    closed.asked.clear()
    assert " passed" in closed.make("test", UV_CACHE_DIR=str(tmp_path / "cache"))
    assert {"/simple/uv/", "/simple/fastapi/"} <= {*closed.asked}
    assert git(closed.service, "status", "--porcelain") == ""
    # The template is somebody's clone: git may write pyproject.toml last.
    closed.asked.clear()
    (closed.service / "pyproject.toml").touch()
    assert " passed" in closed.make("test", UV_CACHE_DIR=str(tmp_path / "cache"))
    assert closed.asked == []
    assert git(closed.service, "status", "--porcelain") == ""


def test_its_image_is_built_from_there_and_holds_nothing_of_it(closed: Closed, tmp_path: Path) -> None:
    needs_containers()
    closed.asked.clear()
    unreachable = f"--build-arg HTTPS_PROXY={NOWHERE} --build-arg HTTP_PROXY={NOWHERE} --build-arg NO_PROXY=localhost"
    lent = tmp_path / "pip.conf"
    lent.write_text(f"[global]\nindex-url = {closed.index}\n", encoding="utf-8")
    secrets = {"PIP_CONF": str(lent), "AUTHORITY": str(closed.authority)}
    with built(closed.service, "closed", ARGS=f"--no-cache {unreachable}", **secrets) as image:
        assert "my-service 0.1.0" in run_once(image, "version", bundle=tmp_path).stdout
        assert {"/simple/uv/", "/simple/fastapi/"} <= {*closed.asked}
        said = buildah("inspect", "--type", "image", image.name)
        assert not [told for told in (closed.index.removesuffix("/"), NOWHERE, "PIP_") if told in said]
        body = closed.authority.read_bytes().splitlines()[1]
        files = [path for path in image.root.rglob("*") if path.is_file() and not path.is_symlink()]
        texts = [path.read_bytes() for path in files if path.stat().st_size < 2_000_000]
        assert [text for text in texts if b"import fastapi" in text]  # the control: what is there is found
        assert not [text for text in texts if body in text or closed.index.encode() in text]
