import io
import json
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import SecretStr

import chassis
from chassis.cli import command_line, main
from children import child
from patience import HANGS

VALUE = "hunter2-is-no-secret"
Run = Callable[..., tuple[int, str, str]]

router = APIRouter(prefix="/api")


@router.get("/things/{thing}", name="thing")
@router.put("/things/{thing}")
async def thing(thing: int) -> int:
    return thing


outer = APIRouter(prefix="/outer")
outer.include_router(router)


class Settings(chassis.Settings):
    greeting: str = "Hello"
    token: SecretStr | None = None


@click.command()
@click.argument("name")
@click.option("--times", default=1, help="How often.")
@click.pass_obj
async def greet(settings: Settings, name: str, times: int) -> str:
    """Greet somebody from the command line."""
    logging.getLogger("greet").info("greeting")
    click.echo(f"{settings.greeting}, {name}!" * times)
    return "is not printed"


@click.group()
def jobs() -> None:
    """One-off jobs."""
    click.echo(f"group {click.get_current_context().obj.name}")


@jobs.command("count")
def count() -> int:
    """Count."""
    click.echo(click.get_current_context().obj.greeting)
    return 7


@click.command("fail")
async def fail() -> None:
    raise click.ClickException("The database is gone.")


@click.command("interrupt")
async def interrupt() -> None:
    raise KeyboardInterrupt


@click.command("sure")
def sure() -> None:
    click.confirm("Sure?", abort=True)


service = chassis.Service(
    package="chassis", settings=Settings, routers=[outer], commands=[greet, jobs, fail, interrupt, sure]
)


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(service, arguments)
        return code, *capsys.readouterr()

    return run


@pytest.fixture(autouse=True)
def quiet_logging() -> object:
    handlers, level = list(logging.root.handlers), logging.root.level
    yield
    logging.captureWarnings(False)
    logging.root.handlers[:], logging.root.level = handlers, level


@pytest.mark.parametrize("arguments", [[], ["serve"], ["config"], ["config", "show"], ["shell"], ["greet"], ["jobs"]])
def test_help(arguments: list[str], run: Run) -> None:
    code, out, err = run(*arguments, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"Usage: python -m chassis {' '.join(arguments)}")


def test_help_needs_no_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_CONFIG_DIR", "/nowhere")
    assert run("greet", "--help")[0] == run("--help")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--nope"], "No such option '--nope'."),
        (["serv"], "No such command 'serv'."),
        (["serve", "--port", "1"], "No such option '--port'."),
        (["config", "shwo"], "No such command 'shwo'."),
        (["greet"], "Missing argument 'NAME'."),
        (["greet", "Ada", "--times", "x"], "Invalid value for '--times': 'x' is not a valid integer."),
        (["version", "extra"], "Got unexpected extra argument (extra)"),
    ],
)
def test_what_was_typed_wrongly_is_told_in_one_line(arguments: list[str], complaint: str, run: Run) -> None:
    code, out, err = run(*arguments)
    (line,) = err.splitlines()
    assert (code, out) == (2, "")
    assert line.startswith(f"Error: {complaint}")
    assert re.search(r" See: python -m chassis.* --help$", line)


def test_no_command_shows_the_help(run: Run) -> None:
    code, out, err = run()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: python -m chassis [OPTIONS] COMMAND")


@pytest.mark.parametrize(
    "command", ["serve", "config show", "config check", "config show --json", "routes", "openapi", "version", "greet A"]
)
def test_wrong_settings_are_all_listed(command: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "eighty")
    monkeypatch.setenv("APP_GREETNIG", "Hi")
    code, out, err = run(*command.split())
    assert (code, out) == (2, "")
    assert [line.split()[0] for line in err.splitlines()] == ["Error:", "APP_GREETNIG", "port"]


@pytest.mark.parametrize("command", ["serve", "shell", "jobs count"])
def test_what_keeps_it_from_starting_is_one_sentence(command: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_LOG_CONFIG", "/nowhere/logging.toml")
    code, out, err = run(*command.split())
    assert (code, out) == (2, "")
    assert err.startswith("Error: The logging configuration /nowhere/logging.toml cannot be used: ")
    assert err.count("\n") == 1


def test_config_check(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "development")
    assert run("config", "check") == (0, "The settings of under-test are right for development.\n", "")


def test_config_show(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_TOKEN", VALUE)
    monkeypatch.setenv("PORT", "1")
    code, out, _ = run("config", "show")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()}
    assert code == 0
    assert list(rows) == list(Settings.model_fields)
    assert rows["token"] == ['"***"', "environment", "APP_TOKEN"]
    assert rows["port"] == ["1", "environment", "PORT"]
    assert rows["name"] == ['"under-test"', "config/settings.toml", "name"]
    assert rows["docs"] == ["true", "default"]
    assert VALUE not in out


def test_config_show_as_json(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_TOKEN", VALUE)
    code, out, _ = run("config", "show", "--json")
    shown = json.loads(out)
    assert code == 0
    assert shown["token"] == {"value": "***", "layer": "environment", "name": "APP_TOKEN"}
    assert shown["port"] == {"value": 8000, "layer": "default", "name": ""}


def test_config_example_can_be_used_as_it_is(run: Run, config: Path) -> None:
    _, out, _ = run("config", "example")
    assert "\n#APP_GREETING=Hello\n#APP_TOKEN=\n" in out
    (config.parent / ".env").write_text(re.sub("^#APP", "APP", out, flags=re.MULTILINE), encoding="utf-8")
    assert run("config", "check") == (0, "The settings of my-service are right for development.\n", "")


def test_routes_lists_probes_and_nested_routers(run: Run) -> None:
    code, out, _ = run("routes")
    rows = [line.split() for line in out.splitlines()]
    assert code == 0
    assert rows[:2] == [["GET", "/livez", "livez"], ["GET", "/startupz", "startupz"]]
    assert ["GET", "/outer/api/things/{thing}", "thing"] in rows
    assert ["PUT", "/outer/api/things/{thing}", "thing"] in rows


def test_routes_of_what_is_mounted() -> None:
    from chassis.http.routes import listed

    inner = FastAPI(openapi_url=None)
    inner.include_router(outer)
    app = FastAPI(openapi_url=None)
    app.mount("/mounted", inner)
    app.add_api_websocket_route("/ws", lambda: None, name="socket")
    assert [tuple(route) for route in listed(app.routes)] == [
        ("PUT", "/mounted/outer/api/things/{thing}", "thing"),
        ("GET", "/mounted/outer/api/things/{thing}", "thing"),
        ("WEBSOCKET", "/ws", "socket"),
    ]


def test_openapi(run: Run, tmp_path: Path) -> None:
    code, out, err = run("openapi")
    assert (code, err) == (0, "")
    assert "/outer/api/things/{thing}" in json.loads(out)["paths"]
    assert run("openapi", "--output", str(tmp_path / "openapi.json")) == (0, "", "")
    assert (tmp_path / "openapi.json").read_text(encoding="utf-8") == out


def test_openapi_even_where_the_docs_are_off(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_DOCS", "false")
    assert "paths" in json.loads(run("openapi")[1])


def test_version(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")
    monkeypatch.setattr("chassis.cli.chassis_version", lambda: "4.5")
    assert run("version") == (0, "under-test 1.2.3 (chassis 4.5)\n", "")
    monkeypatch.setenv("APP_COMMIT", "abc123")
    assert run("version")[1] == "under-test 1.2.3 (commit abc123, chassis 4.5)\n"


def test_shell_runs_what_comes_through_a_pipe(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "def double(x):\n    return x * 2\nprint([double(settings.name) for _ in 'x'], service.package, callable(app))"
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(program))
    assert run("shell")[:2] == (0, "['under-testunder-test'] chassis True\n")


def test_a_command_of_the_teams_has_settings_and_logging(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_GREETING", "Hi")
    code, out, err = run("greet", "Ada", "--times", "2")
    line, answer = out.splitlines()
    assert (code, answer, err) == (0, "Hi, Ada!Hi, Ada!", "")
    assert json.loads(line)["message"] == "greeting"


def test_a_group_of_the_teams(run: Run) -> None:
    assert run("jobs", "count") == (0, "group under-test\nHello\n", "")


def test_a_command_of_the_teams_is_listed_and_left_alone(run: Run) -> None:
    callback = greet.callback
    assert "Greet somebody from the command line." in run("--help")[1]
    assert command_line(service).commands["greet"].callback is not callback
    assert greet.callback is callback


@pytest.mark.parametrize(
    ("command", "code", "err"), [("fail", 1, "Error: The database is gone.\n"), ("interrupt", 130, "")]
)
def test_how_a_command_ends(command: str, code: int, err: str, run: Run) -> None:
    found = run(command)
    assert found[0] == code
    assert err in found[2]


def test_who_is_not_sure_is_not_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run("sure")[0] == 1


def test_the_names_of_the_chassis_are_taken(config: Path) -> None:
    with pytest.raises(ValueError, match="The command serve is there already"):
        command_line(chassis.Service(package="chassis", commands=[click.Command("serve")]))


@pytest.mark.slow
def test_ctrl_c_ends_a_command_with_130(config: Path) -> None:
    program = (
        "import asyncio, click, chassis\n"
        "@click.command()\n"
        "async def wait():\n    print('waiting', flush=True)\n    await asyncio.sleep(30)\n"
        "chassis.Service(package='chassis', commands=[wait]).main()"
    )
    pipe = subprocess.PIPE
    with child(sys.executable, "-c", program, "wait", stdout=pipe, stderr=pipe) as process:
        assert process.stdout
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=HANGS)
        assert process.returncode == 130
        assert "Traceback" not in errors


@pytest.mark.slow
def test_help_imports_neither_server_nor_dynaconf(config: Path) -> None:
    program = (
        "import sys, chassis\n"
        "try: chassis.Service(package='chassis').main()\n"
        "finally: print(sorted({'uvicorn', 'dynaconf', 'dotenv', 'IPython'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
