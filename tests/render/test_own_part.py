"""A part of an organisation's own: settings, a process type, a check, a collector and a resource, by an entry point."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import run, succeed
from conftest import Render
from environments import service_path, without_project
from histories import write
from running import started
from trees import tree

PROJECT = """
[project]
name = "acme-cache"
version = "1.0.0"
dependencies = ["twelvefold-chassis"]

[project.entry-points."twelvefold.parts"]
cache = "acme_cache:Cache"

[build-system]
requires = ["uv_build>=0.9,<0.14"]
build-backend = "uv_build"
"""
PART = '''
"""A cache, for all services of Acme."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import click
from prometheus_client.core import GaugeMetricFamily
from pydantic import BaseModel, Field

from chassis.part import Part
from chassis.serving import stand_by


class CacheSettings(BaseModel):
    cache_megabytes: Annotated[int, Field(ge=1, description="How much is kept.")] = 64


class Size:
    def collect(self) -> Iterable[GaugeMetricFamily]:
        return [GaugeMetricFamily("acme_cache_entries", "Entries.", value=3)]


class Cache(Part):
    settings = CacheSettings

    def resources(self) -> Mapping[str, Any]:
        return {"cache": self.opened}

    @asynccontextmanager
    async def opened(self, settings: Any) -> AsyncIterator[dict[str, int]]:
        yield {"megabytes": settings.cache_megabytes}

    def checks(self) -> Mapping[str, Any]:
        async def cache(given: Any) -> None:
            assert given.cache["megabytes"] != 13, "unlucky"

        return {"cache": cache}

    def collectors(self) -> Iterable[Any]:
        return [Size()]

    def commands(self) -> Sequence[click.Command]:
        return [sweeper]


@click.command("sweeper")
@click.pass_obj
def sweeper(service: Any) -> int:
    """Sweep the cache until SIGTERM."""
    settings = service.load()
    service.configure_logging(settings)
    return stand_by(service, settings=settings, port=0, variable="APP_CACHE_PORT")
'''
OF_THE_TEAM = '"""The cache of this service."""\n\nfrom acme_cache import Cache\n\ncache = Cache()\n'


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the organisation's distribution is installed, and nothing else."""
    home = tmp_path_factory.mktemp("acme")
    write(home, "pyproject.toml", PROJECT)
    write(home, "src/acme_cache/__init__.py", PART)
    succeed("uv", "build", "--wheel", "--quiet", cwd=home)
    (wheel,) = home.glob("dist/*.whl")
    succeed("uv", "pip", "install", "--quiet", "--no-deps", "--target", home / "site", wheel)
    return home / "site"


def environment(service: Path, installed: Path, **variables: str) -> dict[str, str]:
    return {**without_project(), "PYTHONPATH": f"{service_path(service)}:{installed}", "PORT": "0", **variables}


def test_it_is_a_part_like_ours(fresh: Render, installed: Path, python: Path) -> None:
    service = fresh()
    before = tree(service)
    write(service, "src/my_service/cache.py", OF_THE_TEAM)
    serve = [str(python), "-m", "my_service", "serve"]
    with started(serve, folder=service, environment=environment(service, installed)) as serving:
        assert serving.get("/readyz").json == {"status": "ready", "checks": {"cache": "ok"}}
        assert "acme_cache_entries 3.0" in serving.get("/metrics").body.decode()
        assert serving.stop() == 0
    with started(serve, folder=service, environment=environment(service, installed, APP_CACHE_MEGABYTES="13")) as bad:
        assert bad.get("/readyz").status == 503
    config = (python, "-m", "my_service", "config", "show", "--json")
    shown = succeed(*config, cwd=service, env=environment(service, installed))
    assert json.loads(shown)["cache_megabytes"]["value"] == 64
    assert {path: file for path, file in tree(service).items() if path != "src/my_service/cache.py"} == before


def test_its_process_type_is_one_of_the_service(fresh: Render, installed: Path, python: Path) -> None:
    service = fresh()
    write(service, "src/my_service/cache.py", OF_THE_TEAM)
    command = [str(python), "-m", "my_service", "sweeper"]
    with started(command, folder=service, environment=environment(service, installed)) as sweeping:
        assert sweeping.get("/readyz").status == 200
        assert sweeping.get("/api/v1/greeting").status == 404
        assert sweeping.stop() == 0


def test_without_a_line_of_the_team_s_it_is_said_what_is_missing(fresh: Render, installed: Path, python: Path) -> None:
    service = fresh()
    done = run(python, "-m", "my_service", "version", cwd=service, env=environment(service, installed))
    assert done.returncode == 2
    assert "my_service/cache.py has no `cache = Cache(...)`" in done.stderr
    assert "take acme-cache out of the dependencies" in done.stderr
