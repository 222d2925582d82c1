"""A registry of images on this machine: Debian's docker-registry, with a password, on the loopback."""

from __future__ import annotations

import base64
import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from children import child
from ports import free_port

USER = "robot"
PASSWORD = "correct-horse-battery"  # noqa: S105 - nobody's
HASHED = "$2y$04$rKR.Y.QSagDOWYiaz7qgBuBQezweiTv2K7hvW29/Vkd0.Jq0pYnEu"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True)
class Registry:
    """Where it listens."""

    address: str

    def get(self, path: str) -> Any:
        """What it says of a path below /v2/, to who has the password."""
        credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Accept": MANIFEST}
        with urllib.request.urlopen(
            urllib.request.Request(f"http://{self.address}/v2/{path}", headers=headers)
        ) as answer:
            return json.load(answer)

    def labels(self, name: str, tag: str) -> dict[str, str]:
        """The labels of an image that it has."""
        manifest = self.get(f"{name}/manifests/{tag}")
        labels: dict[str, str] = self.get(f"{name}/blobs/{manifest['config']['digest']}")["config"]["Labels"]
        return labels


@contextlib.contextmanager
def registry(home: Path) -> Iterator[Registry]:
    """A registry that is empty, for as long as the block lasts."""
    home.mkdir()
    address = f"127.0.0.1:{free_port()}"
    (home / "htpasswd").write_text(f"{USER}:{HASHED}\n", encoding="utf-8")
    configuration = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(home / "data")}},
        "http": {"addr": address},
        "auth": {"htpasswd": {"realm": "test", "path": str(home / "htpasswd")}},
    }
    (home / "config.yml").write_text(json.dumps(configuration), encoding="utf-8")
    with (
        (home / "log").open("w") as log,
        child("docker-registry", "serve", home / "config.yml", stdout=log, stderr=log),
    ):
        _wait(f"http://{address}/v2/", home / "log")
        yield Registry(address)


def _wait(address: str, log: Path) -> None:
    deadline = time.monotonic() + 30
    while not _asks_who(address):
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.1)


def _asks_who(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return False
