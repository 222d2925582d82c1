"""XII. Admin processes: one-off commands run on the release itself, with the service's settings and logging."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commands import run
from conftest import Render
from environments import CHASSIS_VERSION
from running import Running, command, environment_of, running
from team import take_over
from widened import Deploy, until


@pytest.fixture(scope="module")
def service(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return take_over(Path(shutil.copytree(rendered(), tmp_path_factory.mktemp("admin") / "my-service")))


@pytest.fixture(scope="module")
def serving(service: Path, python: Path) -> Iterator[Running]:
    """The service itself, which goes on beside its admin processes."""
    with running(service, python, APP_GREETING="Hi", APP_ENVIRONMENT="staging") as started:
        yield started


def test_a_command_of_the_team_has_the_settings_and_the_logging_of_the_service(
    serving: Running, service: Path, python: Path
) -> None:
    done = command(service, python, "purge", "--days", "7", APP_GREETING="Hi", APP_ENVIRONMENT="staging")
    logged, printed = done.stdout.splitlines()
    event = json.loads(logged)
    assert (done.returncode, printed, done.stderr) == (0, "Hi, purged 7", "")
    assert (event["message"], event["logger"], event["days"]) == ("purging", "__main__", 7)
    served = serving.events[0]
    constant = ("service", "version", "environment")
    assert [event[name] for name in constant] == [served[name] for name in constant]
    assert serving.get("/api/v1/greeting").json == {"message": "Hi, World!"}


def test_its_failure_is_a_sentence_and_an_exit_code(service: Path, python: Path) -> None:
    done = command(service, python, "purge", "--days", "-1")
    assert (done.returncode, done.stderr) == (1, "Error: There is no such day.\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--nope",), "No such option '--nope'. See: python -m my_service --help"),
        (("serve", "--port", "1"), "No such option '--port'. See: python -m my_service serve --help"),
        (("prune",), "No such command 'prune'."),
        (("purge", "--days", "many"), "Invalid value for '--days': 'many' is not a valid integer."),
        (("purge", "--day", "1"), "No such option '--day'."),
        (("version", "now"), "Got unexpected extra argument (now)."),
    ],
)
def test_what_is_typed_wrongly_is_told_in_one_line(
    arguments: tuple[str, ...], complaint: str, service: Path, python: Path
) -> None:
    done = command(service, python, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"Error: {complaint}")


@pytest.mark.parametrize("arguments", [("serve",), ("purge",), ("config", "check"), ("version",), ("shell",)])
def test_wrong_settings_stop_every_command_alike(arguments: tuple[str, ...], service: Path, python: Path) -> None:
    done = command(service, python, *arguments, typed="print('ran')", APP_DRAIN_SECONDS="soon")
    assert (done.returncode, done.stdout) == (2, "")
    assert "APP_DRAIN_SECONDS" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_settings_can_be_checked_and_shown(service: Path, python: Path) -> None:
    checked = command(service, python, "config", "check", APP_ENVIRONMENT="production")
    assert (checked.returncode, checked.stdout) == (0, "The settings of my-service are right for production.\n")
    shown = json.loads(command(service, python, "config", "show", "--json", APP_GREETING="Hi").stdout)
    assert shown["greeting"] == {"value": "Hi", "layer": "environment", "name": "APP_GREETING"}


def test_the_routes_and_the_document_are_those_that_are_served(serving: Running, service: Path, python: Path) -> None:
    document = json.loads(command(service, python, "openapi").stdout)
    assert document == serving.get("/openapi.json").json
    routes = [line.split()[:2] for line in command(service, python, "routes").stdout.splitlines()]
    assert ["GET", "/livez"] in routes
    assert not [path for _, path in routes if serving.get(path.replace("{seconds}", "0")).status == 404]
    assert serving.get("/api/v1/nothing").status == 404


def test_the_version_is_told(service: Path, python: Path) -> None:
    told = command(service, python, "version", APP_COMMIT="c0ffee").stdout
    assert told == f"my-service 0.1.0 (commit c0ffee, chassis {CHASSIS_VERSION})\n"


def test_the_shell_runs_what_comes_through_a_pipe(service: Path, python: Path) -> None:
    script = """
import logging
logging.getLogger("migration").info("migrating")
print(settings.greeting, service.package, callable(app))
"""
    done = command(service, python, "shell", typed=script, APP_GREETING="Hi")
    logged, printed = done.stdout.splitlines()
    assert (done.returncode, printed, done.stderr) == (0, "Hi my_service True", "")
    assert json.loads(logged)["message"] == "migrating"


def test_a_script_that_fails_is_an_event_and_an_exit_code(service: Path, python: Path) -> None:
    done = command(service, python, "shell", typed="raise LookupError('nothing to migrate')")
    assert (done.returncode, done.stderr) == (1, "")
    event = json.loads(done.stdout)
    assert (event["level"], event["exception"]["type"]) == ("critical", "LookupError")


def test_a_reader_that_hangs_up_is_no_error(service: Path, python: Path) -> None:
    line = f"{python} -m my_service openapi | head -c 1"
    done = run("bash", "-o", "pipefail", "-c", line, cwd=service, env=environment_of(service))
    assert (done.stdout, done.stderr) == ("{", "")


@pytest.mark.slow
def test_the_schema_is_brought_up_to_date_beside_the_running_service(embedded: Deploy, tmp_path: Path) -> None:
    fresh = {"DATABASE_URL": f"sqlite:///{tmp_path}/fresh.db", "APP_ENVIRONMENT": "test"}
    with embedded.running(**fresh, APP_READY_CACHE_SECONDS="0") as serving:
        behind: Any = serving.get("/readyz")
        assert [name for name, result in behind.json["checks"].items() if result != "ok"] == ["schema"]
        assert embedded.command("db", "check", **fresh).returncode == 1
        with ThreadPoolExecutor(2) as pool:  # as two replicas do that start at once
            both = list(pool.map(lambda _: embedded.command("db", "upgrade", **fresh), range(2)))
        assert [done.returncode for done in both] == [0, 0], both
        until(lambda: serving.get("/readyz").status == 200)
        assert embedded.ask(serving, "POST", "notes", text="stored").status == 200
        events = [json.loads(line) for done in both for line in done.stdout.splitlines()]
        constant = ("service", "version", "environment")
        assert {tuple(event[name] for name in constant) for event in events} == {
            tuple(serving.events[0][name] for name in constant)
        }
    assert embedded.say("db", "check", **fresh) == "The migrations make the tables that the code has.\n"


def test_a_token_of_the_command_is_good_for_the_release_with_the_same_secret_alone(embedded: Deploy) -> None:
    ours, theirs = (
        {"APP_AUTH_SECRET": f"the secret of {whom}, of more than 32 bytes", "APP_ENVIRONMENT": "staging"}
        for whom in ("us", "them")
    )
    made = [
        embedded.say("auth", "token", "--subject", "ada", "--scope", "notes", **secret).strip()
        for secret in (ours, theirs)
    ]
    with embedded.running(**ours) as serving:
        statuses = [replace(embedded, token=token).ask(serving, "GET", "notes").status for token in made]
    assert statuses == [200, 401]


@pytest.mark.slow
def test_what_failed_for_good_is_listed_and_replayed_on_the_next_release(networked: Deploy) -> None:
    with networked.running() as serving:
        with networked.running("worker", APP_PAPER="false"):
            task = networked.later(serving, "replayed")
            networked.await_status(serving, task, "failed")
        (letter,) = json.loads(networked.say("tasks", "dead", "list", "--json"))
        assert (letter["task"], letter["task_id"], letter["arguments"]["text"]) == ("write", task, "replayed")
        assert networked.say("tasks", "dead", "replay", letter["id"]) == "1 handed out again.\n"
        assert networked.say("tasks", "dead", "list") == ""
        with networked.running("worker"):
            networked.await_status(serving, task, "done")
        assert networked.notes(serving) == ["replayed"]


@pytest.mark.parametrize("arguments", [("worker",), ("scheduler",), ("tasks", "dead", "list")])
def test_what_the_defaults_cannot_do_is_told_in_one_line(arguments: tuple[str, ...], embedded: Deploy) -> None:
    done = embedded.command(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("Error: BROKER_URL is memory://, and ")
