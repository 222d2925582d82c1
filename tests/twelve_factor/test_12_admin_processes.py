"""XII. Admin processes: one-off commands run on the release itself, with the service's settings and logging."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import Done, run
from conftest import Render
from environments import VERSION
from running import Running, environment_of, running
from team import take_over


@pytest.fixture(scope="module")
def service(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return take_over(Path(shutil.copytree(rendered(), tmp_path_factory.mktemp("admin") / "my-service")))


@pytest.fixture(scope="module")
def serving(service: Path, python: Path) -> Iterator[Running]:
    """The service itself, which goes on beside its admin processes."""
    with running(service, python, APP_GREETING="Hi", APP_ENVIRONMENT="staging") as started:
        yield started


def command(service: Path, python: Path, *arguments: str, typed: str | None = None, **variables: str) -> Done:
    environment = environment_of(service, **variables)
    return run(python, "-m", "my_service", *arguments, cwd=service, env=environment, typed=typed)


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
    assert told == f"my-service 0.1.0 (commit c0ffee, chassis {VERSION})\n"


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
