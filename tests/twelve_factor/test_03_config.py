"""III. Config: what differs between deploys stands in the environment; every documented setting does what it says."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from commands import Done, run
from conftest import Render, commit, git
from environments import EVERYTHING, SERVICE
from ports import free_port
from required import require_loopback
from running import Running, environment_of, running
from team import Upstream, take_over, upstream
from widened import Deploy as WidenedDeploy

GREETING = "/api/v1/greeting"
ORIGIN = {"origin": "https://a.example"}
PREFLIGHT = {**ORIGIN, "access-control-request-method": "GET"}
LINE = re.compile(r"^#(APP_[A-Z_]+)=(.*)$", re.MULTILINE)
# What every service has, and then a block a capability.
EXAMPLE, _, OF_CAPABILITIES = (SERVICE / ".env.example").read_text(encoding="utf-8").partition("<% if")
DOCUMENTED = dict(LINE.findall(EXAMPLE))
SIGNS_OF_THE_END = {
    "APP_DRAIN_SECONDS": "1.5",
    "APP_SHUTDOWN_SECONDS": "1",
    "APP_BACKGROUND_SECONDS": "0.3",
    "APP_RESOURCE_SECONDS": "0.2",
}


PORT, ADMIN_PORT = free_port(), free_port()


@dataclass
class Deploy:
    """A service of the team's, and the backing service that it calls."""

    service: Running
    upstream: Upstream

    def header(self, name: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> str | None:
        return self.service.get(GREETING, method, dict(headers or {})).headers.get(name)

    def status(self, path: str, body: bytes | None = None) -> int:
        return self.service.get(path, "GET" if body is None else "POST", body=body).status

    def status_with(self, **headers: str) -> int:
        """Of a request with `headers` besides the usual ones."""
        return self.service.get(GREETING, headers=headers).status

    def silence(self) -> bytes:
        """What comes back, in 3 s, when nothing is sent: nothing and the end, or no end."""
        with socket.create_connection((self.service.host, self.service.port), timeout=3) as connection:
            try:
                return connection.recv(1) or b"closed"
            except TimeoutError:
                return b"open"

    def statuses(self, path: str) -> set[int]:
        """Of two requests at once."""
        with ThreadPoolExecutor(2) as pool:
            return set(pool.map(self.status, [path, path]))

    def statuses_from(self, *addresses: str) -> list[int]:
        """Of a request from each of `addresses`, one after the other."""
        found = []
        for address in addresses:
            connection = http.client.HTTPConnection(self.service.host, self.service.port, source_address=(address, 0))
            with contextlib.closing(connection):
                connection.request("GET", GREETING)
                found.append(connection.getresponse().status)
        return found

    def call(self, path: str) -> str:
        """What comes of an outgoing call."""
        return json.dumps(self.service.get(f"/api/v1/calls/{path}").json)

    def calls(self, path: str) -> str:
        """What comes of two outgoing calls at once."""
        with ThreadPoolExecutor(2) as pool:
            return " ".join(pool.map(self.call, [path, path]))

    def attempts(self) -> int:
        before = len(self.upstream.asked)
        self.call("503")
        return len(self.upstream.asked) - before

    def says(self, path: str, text: str) -> bool:
        """Whether a request to `path` makes a line that holds `text`."""
        before = len(self.service.output)
        assert self.status(path) == 200
        time.sleep(0.1)  # the line comes after the answer
        return any(text in line for line in self.service.output[before:])

    def openapi(self, member: str) -> object:
        document: Any = self.service.get("/openapi.json").json
        return document["info"].get(member)

    def ready_while_slow(self) -> int:
        time.sleep(1.2)  # results are good for a second: those of another test too
        self.upstream.delay = 0.6
        status = self.status("/readyz")
        self.upstream.delay = 0
        return status

    def ready_after_a_fall(self) -> list[int]:
        before = self.status("/readyz")
        self.upstream.is_down = True
        time.sleep(1.2)
        after = self.status("/readyz")
        self.upstream.is_down = False
        return [before, after]

    def metrics(self) -> str:
        return self.service.get("/metrics").body.decode()


@dataclass
class Shows:
    """A value of a setting, and what is then to be seen; without it something else is."""

    value: str
    look: Callable[[Deploy], object]
    expected: object


# As many settings in a deploy as do not hide each other.
DEPLOYS: dict[str, dict[str, Shows]] = {
    "looks": {
        "APP_NAME": Shows("renamed", lambda d: d.service.events[0]["service"], "renamed"),
        "APP_TITLE": Shows("A Title", lambda d: d.openapi("title"), "A Title"),
        "APP_DESCRIPTION": Shows("Describes.", lambda d: d.openapi("description"), "Describes."),
        "APP_ENVIRONMENT": Shows("staging", lambda d: d.service.events[0]["environment"], "staging"),
        "APP_COMMIT": Shows("c0ffee", lambda d: 'commit="c0ffee"' in d.metrics(), True),
        "APP_HOST": Shows("127.0.0.2", lambda d: d.service.host, "127.0.0.2"),
        "APP_PORT": Shows(str(PORT), lambda d: d.service.port, PORT),
        "APP_RESPONSE_HEADERS": Shows('{"x-team": "mail"}', lambda d: d.header("x-team"), "mail"),
        "APP_HSTS_SECONDS": Shows("60", lambda d: "60" in (d.header("strict-transport-security") or ""), True),
        "APP_CORS_ORIGINS": Shows(
            "https://a.example", lambda d: d.header("access-control-allow-origin", "GET", ORIGIN), "https://a.example"
        ),
        "APP_CORS_METHODS": Shows(
            "GET,PATCH", lambda d: d.header("access-control-allow-methods", "OPTIONS", PREFLIGHT), "GET, PATCH"
        ),
        "APP_CORS_HEADERS": Shows(
            "x-mine",
            lambda d: "x-mine" in (d.header("access-control-allow-headers", "OPTIONS", PREFLIGHT) or ""),
            True,
        ),
        "APP_CORS_CREDENTIALS": Shows(
            "true", lambda d: d.header("access-control-allow-credentials", "GET", ORIGIN), "true"
        ),
        "APP_BODY_LIMIT_BYTES": Shows("10", lambda d: d.status("/api/v1/body", b"x" * 11), 413),
        "APP_REQUEST_SECONDS": Shows("0.8", lambda d: d.status("/api/v1/slow/1.2"), 504),
        "APP_GREETING": Shows("Hi", lambda d: d.service.get(GREETING).json, {"message": "Hi, World!"}),
        "APP_LOG_LEVEL": Shows("info,my_service=error", lambda d: d.says("/api/v1/log?text=heard", "heard"), False),
        "APP_WEB_CONCURRENCY": Shows("2", lambda d: 'app_workers{worker="parent"} 2.0' in d.metrics(), True),
    },
    "calls": {
        "APP_DOCS": Shows("false", lambda d: d.status("/docs"), 404),
        "APP_ACCESS_LOG": Shows("off", lambda d: d.says(GREETING, "chassis.access"), False),
        "APP_HEAD_LIMIT_BYTES": Shows("2000", lambda d: d.status_with(long="a" * 2000), 431),
        "APP_HEAD_LIMIT_HEADERS": Shows(
            "20", lambda d: d.status_with(**{f"x{number}": "y" for number in range(20)}), 431
        ),
        "APP_URL_LIMIT_BYTES": Shows("1000", lambda d: d.status(f"{GREETING}?name={'a' * 1000}"), 414),
        "APP_BODY_LIMIT_BYTES_AT": Shows(
            '{"/api/v1/uploads": 20}', lambda d: d.status("/api/v1/uploads/body", b"x" * 21), 413
        ),
        "APP_REQUEST_SECONDS_AT": Shows('{"/api/v1/slow": 0.2}', lambda d: d.status("/api/v1/slow/0.5"), 504),
        "APP_HTTP_ATTEMPTS": Shows("1", Deploy.attempts, 1),
        "APP_HTTP_READ_SECONDS": Shows("0.4", lambda d: "SocketTimeoutError" in d.call("slow"), True),
        "APP_HTTP_TOTAL_SECONDS": Shows("0.8", lambda d: d.call("drip"), '{"error": "TimeoutError"}'),
        # one connection, and a second call that does not wait for it
        "APP_HTTP_CONNECTIONS": Shows("1", lambda d: "ConnectionTimeoutError" in d.calls("slow"), True),
        "APP_HTTP_CONNECT_SECONDS": Shows("0.2", lambda d: "ConnectionTimeoutError" in d.calls("slow"), True),
    },
    "limits": {
        "APP_LOG_FORMAT": Shows("text", lambda d: d.service.output[0].startswith("{"), False),
        "APP_LOG_CONFIG": Shows("levels.toml", lambda d: d.says("/api/v1/log?text=heard", "heard"), False),
        "APP_ADMIN_PORT": Shows(str(ADMIN_PORT), lambda d: d.status("/metrics"), 404),
        "APP_CONCURRENCY_LIMIT": Shows("1", lambda d: d.statuses("/api/v1/slow/0.5"), {200, 503}),
        "APP_READY_CACHE_SECONDS": Shows("60", Deploy.ready_after_a_fall, [200, 200]),
    },
    "rates": {
        "APP_CHECK_SECONDS": Shows("0.2", Deploy.ready_while_slow, 503),
        "APP_HEAD_SECONDS": Shows("0.5", Deploy.silence, b"closed"),
        "APP_RATE_LIMIT_REQUESTS": Shows("2", lambda d: "q=2" in (d.header("ratelimit-policy") or ""), True),
        "APP_RATE_LIMIT_SECONDS": Shows("90", lambda d: "w=90" in (d.header("ratelimit-policy") or ""), True),
        # whoever comes makes the one before him forgotten
        "APP_RATE_LIMIT_CLIENTS": Shows(
            "1", lambda d: d.statuses_from(*["127.0.0.3"] * 3, "127.0.0.4", "127.0.0.3"), [200, 200, 429, 200, 200]
        ),
    },
}
# Addresses of this machine that they listen on, or are asked from.
HOSTS = {"looks": ("127.0.0.2",), "rates": ("127.0.0.3", "127.0.0.4")}
CASES = [(deploy, name) for deploy, settings in DEPLOYS.items() for name in settings]


@pytest.fixture(scope="module")
def service(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(rendered(), tmp_path_factory.mktemp("config") / "my-service"))
    levels = 'version = 1\nincremental = true\n[loggers."my_service"]\nlevel = "ERROR"\n'
    (folder / "levels.toml").write_text(levels, encoding="utf-8")
    return take_over(folder)


@pytest.fixture(scope="module")
def deployed(service: Path, python: Path) -> Iterator[Callable[[str], Deploy]]:
    """A function that starts a deploy with its settings once; "" has none."""
    with contextlib.ExitStack() as stack:
        deploys: dict[str, Deploy] = {}

        def start(name: str) -> Deploy:
            for host in HOSTS.get(name, ()):
                require_loopback(host)
            if name not in deploys:
                quotes = stack.enter_context(upstream(name))
                variables = {setting: shows.value for setting, shows in DEPLOYS.get(name, {}).items()}
                variables = {"APP_UPSTREAM_URL": quotes.url, **variables}
                deploys[name] = Deploy(stack.enter_context(running(service, python, **variables)), quotes)
            return deploys[name]

        yield start


@pytest.mark.parametrize(("deploy", "setting"), CASES, ids=[name for _, name in CASES])
def test_a_setting_changes_what_is_seen(deploy: str, setting: str, deployed: Callable[[str], Deploy]) -> None:
    shows = DEPLOYS[deploy][setting]
    assert shows.look(deployed(deploy)) == shows.expected
    assert shows.look(deployed("")) != shows.expected


def test_the_settings_of_the_end_change_how_it_ends(service: Path, python: Path) -> None:
    with running(service, python, APP_CLOSE_SECONDS="30", **SIGNS_OF_THE_END) as ending, ThreadPoolExecutor(1) as pool:
        assert ending.get("/api/v1/later?seconds=30").status == 200
        hanging = pool.submit(ending.get, "/api/v1/slow/30")
        time.sleep(0.2)
        ending.process.terminate()
        time.sleep(0.2)
        assert [ending.get("/readyz").status, ending.get(GREETING).status] == [503, 200]  # it drains
        assert ending.process.wait(10) == 1
        assert hanging.exception() or hanging.result().status >= 500
    said = [event["message"] for event in ending.events if event["level"] == "error"]
    assert said == [
        "1 requests were cancelled: not done in 1 s",
        "background work was cancelled: 1 not done in 0.3 s",
        "resource quotes did not close: not done in 0.2 s",
    ]


def test_every_documented_setting_was_looked_at() -> None:
    looked_at = {name for _, name in CASES} | SIGNS_OF_THE_END.keys()
    assert set(DOCUMENTED) == looked_at


def show(service: Path, python: Path, **variables: str) -> dict[str, dict[str, object]]:
    done = run_in(service, python, "config", "show", "--json", **variables)
    assert done.returncode == 0, done.stderr
    shown: dict[str, dict[str, object]] = json.loads(done.stdout)
    return shown


def run_in(service: Path, python: Path, *arguments: str, **variables: str) -> Done:
    environment = environment_of(service, **variables)
    del environment["PORT"]
    return run(python, "-m", "my_service", *arguments, cwd=service, env=environment)


def test_every_line_of_the_example_is_shown_with_where_it_came_from(
    fresh: Render, python: Path, tmp_path: Path
) -> None:
    service = fresh()
    values = {name: shows.value for settings in DEPLOYS.values() for name, shows in settings.items()}
    values |= SIGNS_OF_THE_END | {"APP_ENVIRONMENT": "development"}
    by_default = show(service, python)
    from_environment = show(service, python, **values)
    (service / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in values.items()), encoding="utf-8")
    from_dotenv = show(service, python)
    for name in DOCUMENTED:
        setting = name.removeprefix("APP_").lower()
        assert from_environment[setting] | {"value": 0} == {"value": 0, "layer": "environment", "name": name}
        assert from_dotenv[setting] | {"value": 0} == {"value": 0, "layer": ".env", "name": name}
        assert from_dotenv[setting]["value"] == from_environment[setting]["value"]
        assert (from_environment[setting]["value"] == by_default[setting]["value"]) is (name == "APP_ENVIRONMENT")


def test_every_line_of_a_capability_is_shown_too(fresh: Render, python: Path) -> None:
    service = fresh(**EVERYTHING)
    values = {name: value for name, value in LINE.findall(OF_CAPABILITIES) if value}
    assert {"APP_DATABASE_URL", "APP_BROKER_URL", "APP_AUTH_LEEWAY_SECONDS"} <= values.keys()
    shown = show(service, python, **values)
    for name in values:
        assert shown[name.removeprefix("APP_").lower()] | {"value": 0} == {
            "value": 0,
            "layer": "environment",
            "name": name,
        }


def test_the_environment_wins_over_every_file(fresh: Render, python: Path) -> None:
    service = fresh()
    assert show(service, python)["greeting"]["layer"] == "default"
    for layer in ("config/settings.toml", "config/settings.staging.toml", "config/.secrets.toml"):
        with (service / layer).open("a", encoding="utf-8") as file:
            file.write(f'\ngreeting = "from {layer}"\n')
        greeting = show(service, python, APP_ENVIRONMENT="staging")["greeting"]
        assert greeting == {"value": f"from {layer}", "layer": layer, "name": "greeting"}
    greeting = show(service, python, APP_ENVIRONMENT="staging", APP_GREETING="Hi")["greeting"]
    assert greeting == {"value": "Hi", "layer": "environment", "name": "APP_GREETING"}


def test_a_setting_that_is_not_there_is_refused_before_anything_starts(service: Path, python: Path) -> None:
    done = run_in(service, python, "serve", APP_GREETIN="Hi", APP_PORT="eighty")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean APP_GREETING?" in done.stderr
    assert "eighty" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_secret_is_taken_and_never_shown(service: Path, python: Path) -> None:
    secret = "correct-horse-battery"  # noqa: S105 - looked for, and not to be found
    done = run_in(service, python, "config", "show", APP_TOKEN=secret)
    assert re.search(r'^token +"\*\*\*" +environment APP_TOKEN$', done.stdout, re.MULTILINE)
    with running(service, python, APP_TOKEN=secret) as told:
        told.get(f"/api/v1/log?text={secret}")
        told.stop()
    assert secret not in done.stdout + done.stderr + "".join(told.output + told.errors)


def leaks(folder: Path) -> list[dict[str, Any]]:
    """What gitleaks takes for a secret in `folder`."""
    report = folder.parent / "leaks.json"
    gitleaks = Path(sys.executable).with_name("gitleaks")
    done = run(
        *(gitleaks, "dir", folder, "--no-banner", "--exit-code", "9", "--report-format", "json"),
        *("--report-path", report),
    )
    found: list[dict[str, Any]] = json.loads(report.read_text(encoding="utf-8"))
    assert done.returncode == (9 if found else 0), done.stderr
    return found


def test_no_secret_is_in_the_repository(fresh: Render) -> None:
    service = fresh()
    assert leaks(service) == []
    token = "ghp_" + "x7Qw9Rt2Lm4Kp8Zs1Vb6Nc3Hd5Jf0GaYeUiO"
    (service / "src/my_service/keys.py").write_text(f'TOKEN = "{token}"\n', encoding="utf-8")
    assert [Path(leak["File"]).name for leak in leaks(service)] == ["keys.py"]


def test_git_never_sees_what_holds_secrets(fresh: Render) -> None:
    service = fresh()
    commit(service, "The service")
    for name in (".env", "config/.secrets.toml"):
        (service / name).write_text("", encoding="utf-8")
    assert git(service, "status", "--porcelain", "--untracked-files=all") == ""


@pytest.mark.parametrize("kind", ["serve", "worker", "scheduler"])
def test_what_a_capability_cannot_use_stops_every_process_type(kind: str, embedded: WidenedDeploy) -> None:
    secret = "too-short-a-secret"  # noqa: S105 - looked for, and not to be found
    urls = {"DATABASE_URL": f"mysql://me:{secret}@a/b", "BROKER_URL": f"kafka://:{secret}@a"}
    done = embedded.command(kind, **urls, APP_AUTH_SECRET=secret)
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split()[0] for line in done.stderr.splitlines()[1:]] == ["auth_secret", "database_url", "broker_url"]
    assert secret not in done.stderr


def test_outside_development_a_secret_must_be_set(embedded: WidenedDeploy) -> None:
    done = embedded.command("serve", APP_ENVIRONMENT="production")
    assert (done.returncode, done.stdout) == (2, "")
    assert "APP_AUTH_SECRET" in done.stderr
    secret = {"APP_AUTH_SECRET": "no secret of anybody's, 32 bytes"}
    assert embedded.command("config", "check", APP_ENVIRONMENT="production", **secret).returncode == 0
