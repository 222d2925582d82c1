"""IV. Backing services: attached by a URL in the settings, and swapped without a change of code."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commands import run
from conftest import Render
from running import Running, environment_of, running
from team import Upstream, take_over, upstream
from trees import tree
from widened import Deploy

PASSWORD = "correct-horse-battery"  # noqa: S105 - looked for, and not to be found


@pytest.fixture(scope="module")
def service(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return take_over(Path(shutil.copytree(rendered(), tmp_path_factory.mktemp("backing") / "my-service")))


@pytest.fixture(scope="module")
def quotes() -> Iterator[Upstream]:
    with upstream("the first") as backing:
        yield backing


@pytest.fixture(scope="module")
def attached(service: Path, python: Path, quotes: Upstream) -> Iterator[Running]:
    url = quotes.url.replace("http://", f"http://me:{PASSWORD}@")
    variables = {"APP_READY_CACHE_SECONDS": "0", "APP_HTTP_ATTEMPTS": "1", "APP_UPSTREAM_URL": url}
    with running(service, python, **variables) as started:
        yield started


def test_another_url_is_another_backing_service(
    attached: Running, service: Path, python: Path, quotes: Upstream
) -> None:
    before = tree(service)
    with upstream("the second") as other, running(service, python, APP_UPSTREAM_URL=other.url) as swapped:
        assert swapped.get("/api/v1/quote").json == {"from": "the second"}
        assert attached.get("/api/v1/quote").json == {"from": "the first"}
        assert (other.asked[-1], quotes.asked[-1]) == ("/quote", "/quote")
    assert tree(service) == before


def test_another_service_can_be_the_backing_service(attached: Running, service: Path, python: Path) -> None:
    url = f"http://127.0.0.1:{attached.port}/api/v1"
    with running(service, python, APP_UPSTREAM_URL=url) as second:
        assert second.get("/api/v1/quote").json == {"from": "the first"}


def test_one_that_is_down_turns_readiness_red_and_kills_nothing(attached: Running, quotes: Upstream) -> None:
    quotes.is_down = True
    try:
        red: Any = attached.get("/readyz")
        assert red.status == 503
        assert "upstream" in red.json["checks"]
        assert [attached.get(path).status for path in ("/livez", "/api/v1/greeting")] == [200, 200]
    finally:
        quotes.is_down = False
    assert attached.get("/readyz").status == 200
    assert attached.process.poll() is None


def test_one_that_is_not_there_is_a_problem_of_its_requests_alone(service: Path, python: Path) -> None:
    with running(service, python, APP_UPSTREAM_URL="http://127.0.0.1:9", APP_HTTP_ATTEMPTS="1") as lonely:
        failed = lonely.get("/api/v1/quote")
        assert (failed.status, failed.headers["content-type"]) == (500, "application/problem+json")
        assert [lonely.get(path).status for path in ("/livez", "/readyz", "/api/v1/greeting")] == [200, 503, 200]


def test_the_password_in_a_url_is_shown_nowhere(attached: Running, service: Path, python: Path) -> None:
    url = f"http://me:{PASSWORD}@127.0.0.1:9"
    command = (python, "-m", "my_service", "config", "show")
    shown = run(*command, cwd=service, env=environment_of(service, APP_UPSTREAM_URL=url))
    assert "http://me:***@127.0.0.1:9" in shown.stdout
    assert PASSWORD not in shown.stdout
    with running(service, python, APP_UPSTREAM_URL=url, APP_HTTP_ATTEMPTS="1") as lonely:
        answers = [lonely.get(path).body.decode() for path in ("/api/v1/quote", "/readyz", "/metrics")]
        lonely.get(f"/api/v1/log?text={url}")
        lonely.stop()
    assert PASSWORD not in "".join([*answers, *lonely.output, *lonely.errors])
    assert any(event.get("exception") for event in lonely.events)
    assert PASSWORD not in attached.get("/metrics").body.decode()


@pytest.mark.slow
def test_database_and_broker_are_swapped_by_their_variables_alone(networked: Deploy) -> None:
    here = replace(networked, variables={})  # the same folder, on its defaults
    here.say("db", "upgrade")
    before = tree(here.service, "src")
    for deploy, text in ((here, "in SQLite"), (networked, "in PostgreSQL")):
        with deploy.running() as serving, contextlib.ExitStack() as stack:
            if deploy is networked:
                stack.enter_context(deploy.running("worker"))
            assert deploy.ask(serving, "POST", "notes", text=text).status == 200
            task = deploy.later(serving, f"{text}, later")
            deploy.await_status(serving, task, "done")
            assert deploy.notes(serving) == [text, f"{text}, later"]
    with here.running() as back:
        assert here.notes(back) == ["in SQLite", "in SQLite, later"]
    assert tree(here.service, "src") == before


def test_those_of_capabilities_that_are_not_there_turn_readiness_red_by_name(embedded: Deploy) -> None:
    nowhere = f"me:{PASSWORD}@127.0.0.1:9"
    away = {"DATABASE_URL": f"postgresql://{nowhere}/notes", "BROKER_URL": f"redis://{nowhere}"}
    with embedded.running(**away, APP_READY_CACHE_SECONDS="0") as lonely:
        red: Any = lonely.get("/readyz")
        checks = {name: result == "ok" for name, result in red.json["checks"].items()}
        assert (red.status, checks) == (
            503,
            {"database": False, "schema": False, "broker": False, "tasks_store": False, "auth": True},
        )
        assert [lonely.get(path).status for path in ("/livez", "/docs", "/metrics")] == [200, 200, 200]
        asked = {
            path: embedded.ask(lonely, method, path, text="a") for method, path in (("GET", "notes"), ("POST", "later"))
        }
        assert {path: answer.status for path, answer in asked.items()} == {"notes": 503, "later": 503}
        assert {answer.headers["content-type"] for answer in asked.values()} == {"application/problem+json"}
        metrics = lonely.get("/metrics").body.decode()
        assert lonely.stop() == 0
    told = "".join([*lonely.output, *lonely.errors, metrics, *(answer.body.decode() for answer in asked.values())])
    assert PASSWORD not in told + red.body.decode()
    assert not [event for event in lonely.events if event["level"] in {"error", "critical"}]


def test_keys_that_cannot_be_fetched_are_told_apart_from_a_bad_token(embedded: Deploy) -> None:
    with embedded.running(APP_AUTH_JWKS_URL="http://127.0.0.1:9/jwks.json") as lonely:
        red: Any = lonely.get("/readyz")
        assert [name for name, result in red.json["checks"].items() if result != "ok"] == ["auth"]
        assert [red.status, embedded.ask(lonely, "GET", "notes").status, lonely.get("/api/v1/notes").status] == [
            *(503, 503, 401)
        ]
