"""The image of a service with every capability: one image, all process types, each by its argument."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import succeed
from conftest import commit
from containers import Image, built, container, needs_containers, run_once
from environments import EVERYTHING, render, without_project
from required import ADDRESSES, require_server

pytestmark = pytest.mark.slow

SECRETS = {"APP_AUTH_SECRET": "correct-horse-battery-staple-and-more"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    needs_containers()
    service = render(tmp_path_factory.mktemp("everything"), **EVERYTHING)
    succeed("uv", "lock", "--quiet", cwd=service, env=without_project())
    commit(service, "Rendered")
    with built(service, "everything") as everything:
        yield everything


def test_the_schema_is_brought_up_to_date_by_it_and_the_data_outlive_a_container(image: Image, tmp_path: Path) -> None:
    """On SQLite: the volume is all that it can write to, and the next container finds what the first one wrote."""
    with container(image, bundle=tmp_path, PORT="0", APP_DRAIN_SECONDS="0", **SECRETS) as behind:
        answer = behind.running.get("/readyz")
        assert (answer.status, behind.running.get("/livez").status) == (503, 200)
    upgraded = run_once(image, "db", "upgrade", bundle=tmp_path, **SECRETS)
    assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
    with container(image, bundle=tmp_path, PORT="0", APP_DRAIN_SECONDS="0", **SECRETS) as serving:
        answer = serving.running.get("/readyz")
        assert answer.status == 200, answer.body
        assert "Read-only file system" in serving.execute("touch", "/app/written").stderr
        assert serving.execute("touch", "/app/data/written").returncode == 0
        assert serving.stop() == 0


@pytest.mark.parametrize("process", ["worker", "scheduler"])
def test_it_works_and_schedules(process: str, image: Image, tmp_path: Path) -> None:
    require_server(ADDRESSES["redis"])
    mine = {"BROKER_URL": ADDRESSES["redis"], "APP_NAME": f"image-{uuid.uuid4().hex[:8]}"}
    succeed_once(image, tmp_path, "db", "upgrade", **SECRETS)
    with container(image, process, bundle=tmp_path, APP_TASKS_PORT="0", **mine, **SECRETS) as working:
        answers = {path: working.running.get(path).status for path in ("/livez", "/startupz", "/readyz", "/metrics")}
        assert answers == dict.fromkeys(answers, 200)
        _, *health_check = image.config["Healthcheck"]["Test"]
        done = working.execute("env", f"PORT={working.running.port}", *health_check)
        assert done.returncode == 0, done.stderr
        assert working.stop() == 0


def test_its_health_check_asks_all_process_types_alike(image: Image) -> None:
    """For the image's own ports, PORT is what worker and scheduler listen on too."""
    variables = dict(line.split("=", 1) for line in image.config["Env"])
    assert variables["PORT"] == variables["APP_TASKS_PORT"]


def test_a_worker_without_a_broker_says_so(image: Image, tmp_path: Path) -> None:
    done = run_once(image, "worker", bundle=tmp_path, **SECRETS)
    assert done.returncode == 2
    assert "BROKER_URL" in done.stderr


def test_it_is_told_its_secrets_or_does_not_start(image: Image, tmp_path: Path) -> None:
    done = run_once(image, "config", "check", bundle=tmp_path)
    assert done.returncode == 2
    assert "APP_AUTH_SECRET" in done.stderr
    shown = json.loads(succeed_once(image, tmp_path, "config", "show", "--json", **SECRETS))
    assert SECRETS["APP_AUTH_SECRET"] not in json.dumps(shown)


def succeed_once(image: Image, bundle: Path, *arguments: str, **variables: str) -> str:
    done = run_once(image, *arguments, bundle=bundle, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
