"""Debian 13, downloaded once: what images are built on, and roots to run a job in.

Needs root and the network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from commands import Done, run, succeed
from environments import CACHE
from required import require, require_program

HOME = CACHE.parent / "roots"
RELEASE = "trixie"
# Of python:3.13-trixie, Python and who may sign: what else a job uses, it has to name.
PACKAGES = ("ca-certificates", "python3", "python3-venv")
KEY = hashlib.sha256(" ".join((RELEASE, *PACKAGES)).encode()).hexdigest()[:12]
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
# Whoever lets this machine into the network may sign for it.
TRUSTED = "/etc/ssl/of-this-machine.crt"
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "HOME": "/root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PIP_CERT": TRUSTED,
    "SSL_CERT_FILE": TRUSTED,
}


def needs_a_root() -> None:
    """Skip the test, or fail it in CI, where no root can be made or entered."""
    for tool in ("bwrap", "mmdebstrap"):
        require_program(tool)
    require(os.geteuid() == 0, "root")


def debian(folder: Path) -> Path:
    """A new root in `folder`; what it is made of is downloaded once."""
    folder.mkdir()
    succeed("tar", "--extract", "--file", archive(), "--directory", folder)
    shutil.copy(os.environ.get("SSL_CERT_FILE", CERTIFICATES), folder / TRUSTED.lstrip("/"))
    (folder / "etc/dpkg/dpkg.cfg.d/quick").write_text("force-unsafe-io\n", encoding="utf-8")  # as in Docker's image
    return folder


def archive() -> Path:
    """What all of them are made of; kept in .cache/roots."""
    HOME.mkdir(parents=True, exist_ok=True)
    kept = HOME / f"{KEY}.tar"
    with FileLock(HOME / f"{KEY}.lock"):
        if not kept.is_file():
            made = kept.with_suffix(".new.tar")
            packages = f"--include={','.join(PACKAGES)}"
            succeed("mmdebstrap", "--quiet", "--variant=minbase", packages, RELEASE, made)
            made.rename(kept)
    return kept


def run_in(root: Path, script: str, *, folder: str, env: Mapping[str, str]) -> Done:
    """Run `script` by bash in the root, as root, in a folder of it, with this machine's network and `env` alone."""
    mounts = ("--bind", str(root), "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run")
    others = ("--perms", "1777", "--tmpfs", "/tmp", "--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf")  # noqa: S108
    given = [part for pair in {**ENVIRONMENT, **env}.items() for part in ("--setenv", *pair)]
    isolated = ("--unshare-pid", "--die-with-parent", "--clearenv", "--chdir", folder)
    return run("bwrap", *mounts, *others, *isolated, *given, "bash", "-eo", "pipefail", "-c", script)
