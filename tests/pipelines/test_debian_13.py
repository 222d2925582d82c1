"""GitLab's job `publish`, run as the file says it in a root of the Debian that its image is made of.

The root has Python and what the job installs, and nothing else. The registry is one on this machine, which gives the
base image as well. What a runner puts around a job is left out: its image, its limits and its capabilities.
"""

from __future__ import annotations

import shutil
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import Done, succeed
from conftest import commit, git
from containers import base_image, buildah, needs_containers
from debian import RELEASE, debian, needs_a_root, run_in
from environments import render, without_project
from registry import PASSWORD, USER, Registry, registry
from required import require_program

pytestmark = pytest.mark.slow

FOLDER = "/builds/my-team/my-service"
NAME = "my-team/my-service"
# What dpkg had installed before any job.
FRESH = "/var/lib/dpkg/status-fresh"
REMOVE = "! dpkg --status netavark >/dev/null || dpkg --force-depends --purge netavark"
# What `docker.io` is, for buildah in the root; without TLS.
REGISTRIES = """
[[registry]]
prefix = "docker.io"
location = "{0}"
insecure = true
[[registry]]
location = "{0}"
insecure = true
"""


@dataclass(frozen=True)
class Job:
    """A job of the pipeline with what it has from elsewhere in the file."""

    image: str
    lines: tuple[str, ...]
    variables: Mapping[str, str]

    def without(self, words: str) -> str:
        """Its script, without some words of it."""
        script = "\n".join(self.lines)
        assert words in script or not words
        return script.replace(words, "")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    service = render(tmp_path_factory.mktemp("source"), ci="gitlab")
    succeed("uv", "lock", "--quiet", cwd=service, env=without_project())
    commit(service, "Rendered")
    return service


@pytest.fixture(scope="module")
def publish(source: Path) -> Job:
    pipeline: dict[str, Any] = yaml.safe_load((source / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    job = pipeline["publish"]
    return Job(
        job.get("image", pipeline["default"]["image"]),
        (*job["before_script"], *job["script"]),
        {**pipeline["variables"], **job["variables"]},
    )


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with the base image."""
    needs_containers()
    needs_a_root()
    require_program("docker-registry")
    with registry(tmp_path_factory.mktemp("registry") / "home") as running:
        base = f"docker://{running.address}/library/python:3.13-slim"
        buildah("push", "--quiet", "--tls-verify=false", "--creds", f"{USER}:{PASSWORD}", base_image(), base)
        yield running


@pytest.fixture(scope="module")
def container(source: Path, images: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new root with the repository, as a runner would make."""
    root = debian(tmp_path_factory.mktemp("container") / "root")
    shutil.copytree(source, root / FOLDER.lstrip("/"), symlinks=True)
    shutil.copy(root / "var/lib/dpkg/status", root / FRESH.lstrip("/"))
    configuration = root / "etc/containers/registries.conf.d/registry.conf"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(REGISTRIES.format(images.address), encoding="utf-8")
    yield root
    shutil.rmtree(root)


def done(script: str, job: Job, source: Path, images: Registry, root: Path) -> Done:
    """Run it in that root."""
    of_gitlab = {
        "CI_COMMIT_SHORT_SHA": git(source, "rev-parse", "--short=8", "HEAD").strip(),
        "CI_PROJECT_DIR": FOLDER,
        "CI_REGISTRY": images.address,
        "CI_REGISTRY_IMAGE": f"{images.address}/{NAME}",
        "CI_REGISTRY_PASSWORD": PASSWORD,
        "CI_REGISTRY_USER": USER,
    }
    own = {name: string.Template(value).substitute(of_gitlab) for name, value in job.variables.items()}
    return run_in(root, script, folder=FOLDER, env={**of_gitlab, **own})


def test_its_image_is_of_that_debian(publish: Job) -> None:
    assert publish.image == f"python:3.13-{RELEASE}"


def test_it_installs_what_it_needs_and_publishes_the_image(
    publish: Job, source: Path, images: Registry, container: Path
) -> None:
    ended = done(publish.without(""), publish, source, images, container)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    revision = git(source, "rev-parse", "HEAD").strip()
    labels = images.labels(NAME, revision[:8])
    assert labels["org.opencontainers.image.revision"] == revision
    assert labels["org.opencontainers.image.version"] == "0.1.0"
    assert PASSWORD not in ended.stdout + ended.stderr


def test_without_netavark_it_fails(publish: Job, source: Path, images: Registry, container: Path) -> None:
    """What else the job names does not bring it along, and where it is removed, nothing is built."""
    update, install, *others = publish.without(" netavark").splitlines()
    simulated = f"{update}\n{install} --simulate --option Dir::State::status={FRESH}"
    planned = done(simulated, publish, source, images, container)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "Inst buildah " in planned.stdout
    assert "Inst netavark " not in planned.stdout
    ended = done("\n".join((REMOVE, *others)), publish, source, images, container)
    assert ended.returncode != 0
    assert 'could not find "netavark"' in ended.stdout + ended.stderr, ended.stdout + ended.stderr
