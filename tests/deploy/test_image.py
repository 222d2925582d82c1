"""The image: really built, and really run as a cluster would, on a read-only root, as nobody in particular."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import succeed
from conftest import commit, git
from containers import Container, Image, built, container, needs_containers, run_once
from environments import CHASSIS_VERSION, VERSION, render, without_project

SECRET = "correct-horse-battery"  # noqa: S105 - looked for, and not to be found
UNCHECKED_HASH = 1
GRACE_SECONDS = 30
INSTALLED = "venv/lib/python3*/site-packages/chassis/source.py"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service as it lies on a developer's machine, committed, with secrets that are not."""
    needs_containers()
    service = render(tmp_path_factory.mktemp("source"))
    succeed("uv", "lock", "--quiet", cwd=service, env=without_project())
    commit(service, "Rendered")
    for name in (".env", "config/.secrets.toml", "src/my_service/.secrets.toml"):
        (service / name).write_text(f'# {SECRET}\ngreeting = "{SECRET}"\n', encoding="utf-8")
    return service


@pytest.fixture(scope="module")
def image(source: Path) -> Iterator[Image]:
    with built(source, "first") as first:
        yield first


@pytest.fixture(scope="module")
def altered(image: Image, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Built after `image`, with the same cache, of a Dockerfile that is wrong and a chassis that is another."""
    elsewhere = Path(shutil.copytree(source, tmp_path_factory.mktemp("altered") / "my-service", symlinks=True))
    dockerfile = elsewhere / "Dockerfile"
    text = dockerfile.read_text(encoding="utf-8")
    for right, wrong in (("&& rm /venv", "&& ls /venv"), ("USER 65532:65532", "USER 0:0")):
        assert right in text
        text = text.replace(right, wrong)
    dockerfile.write_text(text, encoding="utf-8")
    changed = elsewhere / "vendor/chassis/src/chassis/source.py"
    changed.write_text(f"{changed.read_text(encoding='utf-8')}# altered\n", encoding="utf-8")
    with built(elsewhere, "altered") as found:
        yield found


@pytest.fixture(scope="module")
def serving(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    with container(image, bundle=tmp_path_factory.mktemp("serving"), PORT="0") as running:
        yield running


def test_two_builds_of_one_commit_have_the_same_layers(image: Image, source: Path, tmp_path: Path) -> None:
    elsewhere = Path(shutil.copytree(source, tmp_path / "my-service", symlinks=True))
    with built(elsewhere, "second") as second:
        assert second.layers == image.layers
        assert {**second.config, "Hostname": ""} == {**image.config, "Hostname": ""}


def test_a_build_that_is_not_reproducible_is_noticed(altered: Image, image: Image, tmp_path: Path) -> None:
    """What uv notes is of this build alone: when it saw which file."""
    assert altered.layers != image.layers
    noted = [*altered.root.glob("venv/lib/python3*/site-packages/*/uv_cache.json")]
    assert "timestamp" in "".join(path.read_text(encoding="utf-8") for path in noted)
    assert not [*image.root.glob("venv/lib/python3*/site-packages/*/uv_cache.json")]
    with container(altered, bundle=tmp_path, PORT="0") as running:
        assert user_of(running) == (0, 0)


def test_it_says_what_it_is(image: Image, source: Path) -> None:
    revision = git(source, "rev-parse", "HEAD").strip()
    labels = {name: value for name, value in image.config["Labels"].items() if "buildah" not in name}
    assert labels == {
        "org.opencontainers.image.title": "my-service",
        "org.opencontainers.image.version": "0.1.0",
        "org.opencontainers.image.revision": revision,
        "org.opencontainers.image.source": "https://gitlab.com/my-team/my-service",
        "io.twelvefold.template.version": VERSION,
    }
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", image.config["User"])
    assert image.config["StopSignal"] == "SIGTERM"


def test_no_secret_no_history_and_no_tool_is_in_it(image: Image) -> None:
    files = [path for folder in ("app", "venv") for path in (image.root / folder).rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert {path.name for path in (image.root / "app").rglob("*") if path.is_file()} == {"settings.toml"}
    assert not {"uv", "pip", "pytest", "ruff", "mypy"} & {path.name for path in (image.root / "venv/bin").iterdir()}
    assert not [path for path in files if "vendor/chassis" in path.as_posix()]


def test_a_byte_that_changed_in_vendor_is_in_the_next_image(altered: Image, image: Image) -> None:
    """With the same cache: what lies in vendor/ has the same version then, and its pyproject.toml the same bytes."""
    texts = [next(one.root.glob(INSTALLED)).read_text(encoding="utf-8") for one in (image, altered)]
    assert ["# altered" in text for text in texts] == [False, True]


def test_all_of_it_is_compiled_once_and_for_all(image: Image) -> None:
    packages = next((image.root / "venv/lib").glob("python3.*/site-packages"))
    sources = [path for name in ("chassis", "my_service", "fastapi") for path in (packages / name).rglob("*.py")]
    assert len(sources) > 50
    for path in sources:
        (compiled,) = (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")
        assert int.from_bytes(compiled.read_bytes()[4:8], "little") == UNCHECKED_HASH, path


def test_it_answers_over_http(serving: Container) -> None:
    answers = {path: serving.running.get(path).status for path in ("/livez", "/startupz", "/readyz", "/metrics")}
    assert answers == dict.fromkeys(answers, 200)
    assert serving.running.get("/api/v1/greeting?name=Ada").json == {"message": "Hello, Ada!"}
    assert {event["environment"] for event in serving.running.events} == {"production"}


def test_it_has_no_rights(serving: Container) -> None:
    status = serving.execute("cat", "/proc/1/status").stdout
    assert user_of(serving) == (65532, 65532)
    assert set(re.findall(r"^Cap\w+:\t(\w+)$", status, re.MULTILINE)) == {"0" * 16}
    assert "NoNewPrivs:\t1\n" in status
    for path in ("/written", "/app/written", "/venv/written"):
        assert "Read-only file system" in serving.execute("touch", path).stderr


def user_of(running: Container) -> tuple[int, int]:
    status = running.execute("cat", "/proc/1/status").stdout
    uid, gid = (re.search(rf"^{kind}:\t(\d+)", status, re.MULTILINE) for kind in ("Uid", "Gid"))
    assert uid
    assert gid
    return int(uid[1]), int(gid[1])


def test_its_health_check_asks_the_port_that_it_serves(image: Image, serving: Container) -> None:
    kind, *command = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    for port, healthy in ((serving.running.port, True), (1, False)):
        done = serving.execute("env", f"PORT={port}", *command)
        assert (done.returncode == 0) is healthy, done.stderr


def test_sigterm_ends_it_within_its_grace_and_loses_no_request(image: Image, tmp_path: Path) -> None:
    answered: list[int] = []
    refused: list[float] = []
    with container(image, bundle=tmp_path, PORT="0", APP_DRAIN_SECONDS="1") as serving:
        stopped = threading.Event()
        began = time.monotonic()

        def ask() -> None:
            while not stopped.wait(0.02):
                try:
                    answered.append(serving.running.get("/api/v1/greeting").status)
                except ConnectionError:
                    refused.append(time.monotonic() - began)

        client = threading.Thread(target=ask)
        client.start()
        code = serving.stop()
        took = time.monotonic() - began
        stopped.set()
        client.join()
    assert code == 0
    assert 1 <= took < GRACE_SECONDS
    assert len(answered) > 10
    assert set(answered) == {200}
    assert all(after >= 1 for after in refused)  # when nobody sends requests here any more


def test_other_commands_are_arguments(image: Image, source: Path, tmp_path: Path) -> None:
    revision = git(source, "rev-parse", "HEAD").strip()
    told = run_once(image, "version", bundle=tmp_path)
    assert told.stdout == f"my-service 0.1.0 (commit {revision}, chassis {CHASSIS_VERSION})\n"
    shown = json.loads(run_once(image, "config", "show", "--json", bundle=tmp_path, PORT="8080").stdout)
    assert (shown["port"]["value"], shown["host"]["value"]) == (8080, "127.0.0.1")
    refused = run_once(image, "config", "check", bundle=tmp_path, APP_PROT="80")
    assert refused.returncode == 2
    assert "APP_PORT" in refused.stderr
