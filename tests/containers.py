"""Images, really built by buildah from a base of Debian's own, and containers, really run by runc.

No daemon and no registry is needed, but root, and Debian's packages buildah, mmdebstrap and runc. Containers have the
loopback of this machine for a network. What was built is kept in .cache/images.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from commands import Done, run, succeed
from debian import CERTIFICATES, KEY, archive
from environments import CACHE, without_project
from required import require, require_program
from running import Running, started

HOME = CACHE.parent / "images"
BASE = f"localhost/twelvefold-base:{KEY}"
# Where buildah keeps what. Its isolation is a chroot: namespaces of their own are not everywhere allowed.
STORAGE = f'[storage]\ndriver = "overlay"\nrunroot = "{HOME}/run"\ngraphroot = "{HOME}/storage"\n'


@dataclass(frozen=True)
class Image:
    """An image in the local storage: what it says of itself, and the files in it."""

    name: str
    config: Mapping[str, Any]
    layers: tuple[str, ...]
    root: Path
    """Where its files can be read."""


def needs_containers() -> None:
    """Skip the test, or fail it in CI, where images cannot be built or containers cannot be run."""
    for tool in ("buildah", "mmdebstrap", "runc"):
        require_program(tool)
    require(os.geteuid() == 0, "root")


def base_image() -> str:
    """The name of a stand-in for python:3-slim: Debian with its Python, made once."""
    HOME.mkdir(parents=True, exist_ok=True)
    with FileLock(HOME / "base.lock"):
        (HOME / "storage.conf").write_text(STORAGE, encoding="utf-8")
        if run("buildah", "inspect", "--type", "image", BASE, env=environment()).returncode != 0:
            _make_base()
    return BASE


def _make_base() -> None:
    container = buildah("from", "scratch")
    buildah("add", container, str(archive()), "/")
    # Whoever lets this machine into the network may sign for it.
    buildah("copy", container, os.environ.get("SSL_CERT_FILE", CERTIFICATES), CERTIFICATES)
    buildah("config", "--env", f"SSL_CERT_FILE={CERTIFICATES}", container)
    buildah("commit", "--rm", container, BASE)


def environment() -> dict[str, str]:
    """An environment in which buildah, and make with it, keep to the project's own folder."""
    return {
        **without_project(),
        "BUILDAH_ISOLATION": "chroot",
        "CONTAINERS_STORAGE_CONF": str(HOME / "storage.conf"),
        "SSL_CERT_FILE": os.environ.get("SSL_CERT_FILE", CERTIFICATES),
    }


def buildah(*arguments: str) -> str:
    """Run buildah; return what it printed. Fails the test if it fails."""
    done = run("buildah", *arguments, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@contextlib.contextmanager
def built(service: Path, tag: str, **variables: str) -> Iterator[Image]:
    """The image that `make image` builds of `service`, for as long as the block lasts."""
    tag = f"{tag}-{uuid.uuid4().hex[:8]}"
    name = f"localhost/{service.name}:{tag}"
    given = {"IMAGE": f"localhost/{service.name}", "TAG": tag, "BUILDER": "buildah", "BASE_IMAGE": base_image()}
    succeed("make", "image", *(f"{k}={v}" for k, v in {**given, **variables}.items()), cwd=service, env=environment())
    container = buildah("from", name)
    try:
        found = json.loads(buildah("inspect", "--type", "image", name))["Docker"]
        root = Path(buildah("mount", container))
        yield Image(name, found["config"], tuple(found["rootfs"]["diff_ids"]), root)
    finally:
        buildah("rm", container)
        buildah("rmi", name)


@dataclass
class Container:
    """A container that runs, as Kubernetes' restricted profile would have it run."""

    name: str
    bundle: Path
    running: Running
    state: Path = field(default=HOME / "runc")

    def execute(self, *command: str) -> Done:
        """Run `command` in it, as its own user."""
        return run("runc", "--root", self.state, "exec", self.name, *command)

    def stop(self) -> int:
        """Send the signal that its image asks for; return the exit code."""
        succeed("runc", "--root", self.state, "kill", self.name, "TERM")
        return self.running.process.wait(60)


@contextlib.contextmanager
def container(image: Image, *arguments: str, bundle: Path, **variables: str) -> Iterator[Container]:
    """`image` serving, with `arguments` in place of its own and `variables` added to its environment."""
    name = f"{bundle.name}-{uuid.uuid4().hex[:8]}"
    write_bundle(bundle, image, arguments, variables)
    command = ["runc", "--root", str(HOME / "runc"), "run", "--bundle", str(bundle), name]
    try:
        with started(command, folder=bundle, environment=without_project()) as process:
            yield Container(name, bundle, process)
    finally:
        run("runc", "--root", HOME / "runc", "delete", "--force", name)


def run_once(image: Image, *arguments: str, bundle: Path, **variables: str) -> Done:
    """Run `image` to its end, with `arguments` in place of its own."""
    name = f"{bundle.name}-{uuid.uuid4().hex[:8]}"
    write_bundle(bundle, image, arguments, variables)
    return run("runc", "--root", HOME / "runc", "run", "--bundle", bundle, name)


def write_bundle(bundle: Path, image: Image, arguments: tuple[str, ...], variables: Mapping[str, str]) -> None:
    """Write what runc runs: the image on a read-only root, as its user, with no capability, on the host's network."""
    bundle.mkdir(exist_ok=True)
    file = bundle / "config.json"
    file.unlink(missing_ok=True)
    succeed("runc", "spec", cwd=bundle)
    spec = json.loads(file.read_text(encoding="utf-8"))
    uid, _, gid = image.config["User"].partition(":")
    given = dict(line.split("=", 1) for line in image.config["Env"])
    spec["process"] |= {
        "terminal": False,
        "user": {"uid": int(uid), "gid": int(gid)},
        "args": [*image.config["Entrypoint"], *(arguments or image.config["Cmd"])],
        "env": [f"{key}={value}" for key, value in {**given, "APP_HOST": "127.0.0.1", **variables}.items()],
        "cwd": image.config["WorkingDir"],
        "capabilities": {kind: [] for kind in spec["process"]["capabilities"]},
        "noNewPrivileges": True,
    }
    spec["root"] = {"path": str(image.root), "readonly": True}
    spec["linux"]["namespaces"] = [each for each in spec["linux"]["namespaces"] if each["type"] != "network"]
    spec["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=16m"]})  # noqa: S108
    # As Docker does: a server may have a name that only this machine's files tell.
    for told in ("/etc/hosts", "/etc/resolv.conf"):
        spec["mounts"].append({"destination": told, "type": "bind", "source": told, "options": ["bind", "ro"]})
    for volume in image.config.get("Volumes") or {}:
        spec["mounts"].append(_volume(bundle, image, volume))
    file.write_text(json.dumps(spec), encoding="utf-8")


def _volume(bundle: Path, image: Image, volume: str) -> dict[str, Any]:
    # As Docker makes an anonymous volume: an empty folder of the image's owner.
    source = bundle / "volumes" / volume.strip("/").replace("/", "-")
    if not source.exists():
        source.mkdir(parents=True)
        owner = (image.root / volume.lstrip("/")).stat()
        os.chown(source, owner.st_uid, owner.st_gid)
    return {"destination": volume, "type": "bind", "source": str(source), "options": ["bind", "rw", "nosuid", "nodev"]}
