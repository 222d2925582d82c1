"""What sets a setting, and what wins."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, SecretStr, ValidationError

import chassis
from chassis.settings import SettingsError, load, read


class Cache(BaseModel, frozen=True):
    url: str = "redis://localhost"
    ttl: int = 60
    password: SecretStr | None = None
    labels: dict[str, str] = {}


class Upstream(BaseModel, frozen=True):
    host: str
    weight: int = 1


class Settings(chassis.Settings):
    """What a team might add."""

    greeting: Annotated[str, Field(min_length=1, description="What it says.")] = "Hello"
    token: SecretStr | None = None
    cache: Cache = Cache()
    database_url: SecretStr | None = None
    hosts: list[str] = Field(default_factory=list)
    ports: tuple[int, ...] = ()
    flags: frozenset[str] | None = None
    upstreams: tuple[Upstream, ...] = ()
    limit: int | None = 5
    colour: Literal["red", "green"] = "red"


# What shells, TOML, YAML, dynaconf and .env files each have ideas of their own about.
NASTY = [
    *("1e5", "1_000", "0x10", "1.0", "true", "no", "null", "~", "-", "2026-11-22", "07:32:00"),
    *("@format {env.HOME}", "@jinja {{ 1 }}", "@int 5", "@none", "@read_file /etc/passwd", "dynaconf_merge"),
    *("''", '"q"', "'q'", '"', "\\'", "`id`", "[1, 2]", "{'a': 1}", '{"a": 1}', "a,b", "{}", "%(x)s"),
    *("${HOME}", "$HOME", "$$", "!", "#hash", "a #b", "a=b", "=", " padded ", "\ttab", "a\nb"),
    *("\\", "back\\slash", "\\n", "\\u0041", "ünïcödé", "雪", "🙂", "a\u2028b", "\u00a0"),
]


def loaded(environ: Mapping[str, str], config: Path) -> Settings:
    return load(Settings, environ={"APP_CONFIG_DIR": str(config), **environ})


def problems(environ: Mapping[str, str], config: Path) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loaded(environ, config)
    return caught.value.problems


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    directory = tmp_path / "secrets"
    directory.mkdir()
    return directory


def test_each_layer_beats_the_one_below(config: Path, secrets: Path) -> None:
    environ = {"APP_SECRETS_DIR": str(secrets)}
    say = 'name = "x"\ngreeting = "{}"\n'
    assert loaded(environ, config).greeting == "Hello"
    write(config / "settings.toml", say.format("settings"))
    assert loaded(environ, config).greeting == "settings"
    write(config / "settings.development.toml", say.format("environment's"))
    assert loaded(environ, config).greeting == "environment's"
    write(config / ".secrets.toml", say.format("secrets"))
    assert loaded(environ, config).greeting == "secrets"
    write(secrets / "greeting", "directory")
    assert loaded(environ, config).greeting == "directory"
    write(config.parent / ".env", "APP_GREETING=dotenv")
    assert loaded(environ, config).greeting == "dotenv"
    assert loaded({**environ, "APP_GREETING": "environ"}, config).greeting == "environ"


def test_each_layer_is_named(config: Path, secrets: Path) -> None:
    write(config / "settings.production.toml", "docs = false\n[cache]\nttl = 1\n")
    write(config / ".secrets.toml", 'token = "from the file"\n')
    write(secrets / "APP_DATABASE_URL", "postgresql://")
    environ = {
        "APP_ENVIRONMENT": "production",
        "APP_SECRETS_DIR": str(secrets),
        "PORT": "1",
        "APP_CONFIG_DIR": str(config),
    }
    given = {each.path: each for each in read(Settings, environ=environ).given}
    assert given["docs",].layer == "config/settings.production.toml"
    assert given["cache", "ttl"][2:] == ("config/settings.production.toml", "cache.ttl")
    assert given["token",].layer == "config/.secrets.toml"
    assert given["database_url",][2:] == (str(secrets), "APP_DATABASE_URL")
    assert given["port",][2:] == ("environment", "PORT")


def test_tables_of_several_layers_are_merged_and_lists_replaced(config: Path) -> None:
    write(
        config / "settings.toml", 'name = "x"\nhosts = ["a", "b"]\n[cache]\nurl = "u"\nttl = 5\nlabels = { a = "1" }\n'
    )
    write(config / "settings.development.toml", 'hosts = ["c"]\n[cache]\nttl = 6\nlabels = { b = "2" }\n')
    settings = loaded({"APP_CACHE__PASSWORD": "p"}, config)
    assert settings.cache == Cache(url="u", ttl=6, labels={"a": "1", "b": "2"}, password=SecretStr("p"))
    assert settings.hosts == ["c"]


def test_an_empty_table_takes_nothing_away(config: Path) -> None:
    write(config / "settings.toml", 'name = "x"\n[cache]\nttl = 5\nlabels = { a = "1" }\n')
    write(config / "settings.development.toml", "[cache]\nlabels = {}\n")
    assert loaded({"APP_CACHE": "{}"}, config).cache == Cache(ttl=5, labels={"a": "1"})


def test_another_environments_file_is_not_read(config: Path) -> None:
    write(config / "settings.production.toml", 'greeting = "production"\n')
    write(config / "settings.local.toml", 'greeting = "local"\n')
    assert loaded({}, config).greeting == "Hello"


@pytest.mark.parametrize("text", NASTY)
def test_text_arrives_as_it_was_typed(text: str, config: Path, secrets: Path) -> None:
    for place in (secrets / "token", secrets / "elsewhere"):
        write(place, text + "\n")
    named = {"APP_TOKEN_FILE": str(secrets / "elsewhere")}
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    from_environment = loaded({"APP_GREETING": text, "APP_TOKEN": text, "APP_CACHE__PASSWORD": text}, config)
    assert (from_environment.greeting, secret(from_environment), from_environment.cache) == (
        text, text, Cache(password=SecretStr(text))
    )  # fmt: skip
    assert secret(loaded({"APP_SECRETS_DIR": str(secrets)}, config)) == text
    assert secret(loaded(named, config)) == text
    write(config.parent / ".env", f"APP_TOKEN='{quoted}'\n")
    assert secret(loaded({}, config)) == text


@pytest.mark.parametrize("text", [text for text in NASTY if "'" not in text and "\n" not in text])
def test_text_in_a_file_is_no_command(text: str, config: Path) -> None:
    write(config / ".secrets.toml", f"token = '{text}'\n[cache]\npassword = '{text}'\n")
    settings = loaded({}, config)
    assert (secret(settings), settings.cache.password) == (text, SecretStr(text))


def secret(settings: Settings) -> str | None:
    return None if settings.token is None else settings.token.get_secret_value()


@pytest.mark.parametrize(
    ("written", "arrives"), [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a\r", "a\r"), (" a ", " a ")]
)
def test_one_line_end_of_a_secret_is_the_editors(written: str, arrives: str, config: Path, secrets: Path) -> None:
    write(secrets / "token", written)
    assert secret(loaded({"APP_SECRETS_DIR": str(secrets)}, config)) == arrives


@pytest.mark.parametrize("name", ["cache__password", "CACHE__PASSWORD", "app_cache__password", "APP_CACHE__PASSWORD"])
def test_a_secrets_file_is_named_as_its_setting(name: str, config: Path, secrets: Path) -> None:
    write(secrets / name, "p")
    assert loaded({"APP_SECRETS_DIR": str(secrets)}, config).cache.password == SecretStr("p")


@pytest.mark.parametrize("bare", ["token", "TOKEN", "Token"])
@pytest.mark.parametrize("prefixed", ["app_token", "APP_TOKEN"])
def test_the_prefix_beats_the_bare_name_in_the_secrets_directory(
    bare: str, prefixed: str, config: Path, secrets: Path
) -> None:
    write(secrets / bare, "bare")
    write(secrets / prefixed, "prefixed")
    assert secret(loaded({"APP_SECRETS_DIR": str(secrets)}, config)) == "prefixed"


def test_a_secrets_directory_as_kubernetes_mounts_it(config: Path, secrets: Path) -> None:
    write(secrets / "..2026_11_22" / "token", "t")
    (secrets / "..data").symlink_to("..2026_11_22")
    (secrets / "token").symlink_to("..data/token")
    (secrets / "kubernetes.io" / "serviceaccount").mkdir(parents=True)
    (secrets / "tls.p12").write_bytes(b"\xff\xfe")
    assert secret(loaded({"APP_SECRETS_DIR": str(secrets)}, config)) == "t"


def test_dotenv_is_read_in_development_only_and_leaves_the_process_alone(config: Path) -> None:
    write(
        config.parent / ".env",
        'export APP_GREETING="Hi" # a remark\nPORT=1\nCOMPOSE_PROJECT_NAME=x\nX=${APP_GREETING}\n',
    )
    before = dict(os.environ)
    assert (loaded({}, config).greeting, loaded({}, config).port) == ("Hi", 1)
    assert loaded({"APP_ENVIRONMENT": "test"}, config).greeting == "Hello"
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("variable", "text", "setting", "value"),
    [
        ("APP_HOSTS", "a, b,c", "hosts", ["a", "b", "c"]),
        ("APP_HOSTS", '["a,b", "c"]', "hosts", ["a,b", "c"]),
        ("APP_HOSTS", "", "hosts", []),
        ("APP_PORTS", "1,2", "ports", (1, 2)),
        ("APP_PORTS", "[1, 2]", "ports", (1, 2)),
        ("APP_FLAGS", "a,b", "flags", frozenset("ab")),
        ("APP_UPSTREAMS", '[{"host": "a", "weight": 2}]', "upstreams", (Upstream(host="a", weight=2),)),
        ("APP_CACHE", '{"url": "u", "labels": {"a": "b"}}', "cache", Cache(url="u", labels={"a": "b"})),
        ("APP_CACHE__LABELS__TEAM", "blue", "cache", Cache(labels={"team": "blue"})),
        ("APP_LIMIT", "", "limit", None),
        ("APP_DOCS", "no", "docs", False),
        ("APP_DRAIN_SECONDS", "1e1", "drain_seconds", 10.0),
        ("DATABASE_URL", "postgresql://h/d", "database_url", SecretStr("postgresql://h/d")),
        ("LOG_LEVEL", "debug", "log_level", "debug"),
    ],
)  # fmt: skip
def test_what_a_variable_means(variable: str, text: str, setting: str, value: object, config: Path) -> None:
    assert getattr(loaded({variable: text}, config), setting) == value


def test_the_prefix_beats_the_usual_name(config: Path) -> None:
    assert loaded({"APP_PORT": "1", "PORT": "2"}, config).port == 1


def test_a_usual_name_without_its_setting_is_somebody_elses(config: Path) -> None:
    environ = {"APP_CONFIG_DIR": str(config), "DATABASE_URL": "x", "OTEL_SERVICE_NAME": "x", "HOME": "/"}
    assert load(chassis.Settings, environ=environ).port == 8000


def test_what_kubernetes_injects_for_services_is_ignored(config: Path) -> None:
    environ = {
        "APP_SERVICE_HOST": "10.0.0.1",
        "APP_SERVICE_PORT": "80",
        "APP_SERVICE_PORT_HTTP": "80",
        "APP_PORT": "tcp://10.0.0.1:80",
        "APP_PORT_80_TCP": "tcp://10.0.0.1:80",
        "APP_PORT_80_TCP_PROTO": "tcp",
        "APP_PORT_80_TCP_PORT": "80",
        "APP_PORT_80_TCP_ADDR": "10.0.0.1",
        "APP_DB_SERVICE_HOST": "10.0.0.2",
        "APP_DB_PORT": "udp://10.0.0.2:53",
        "APP_DB_PORT_53_UDP_ADDR": "10.0.0.2",
    }
    assert loaded(environ, config) == loaded({}, config)


def test_the_object_is_frozen_and_plain(config: Path) -> None:
    settings = loaded({}, config)
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]
    assert vars(settings)["port"] == settings.port
    assert Settings.__getattribute__ is object.__getattribute__


@pytest.mark.slow
def test_dynaconf_is_imported_by_the_start_alone(config: Path) -> None:
    program = (
        "import sys; from chassis.settings import Settings, load; assert 'dynaconf' not in sys.modules\n"
        "s = load(Settings); assert 'dynaconf' in sys.modules\n"
        "for name in [name for name in sys.modules if name.startswith('dynaconf')]: sys.modules[name] = None\n"
        "s.port, s.name, s.log_level"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_default_of_the_wrong_type_is_found(config: Path) -> None:
    class Wrong(chassis.Settings):
        retries: int = "many"  # type: ignore[assignment]

    with pytest.raises(SettingsError, match=r"retries \(APP_RETRIES\), set by its default: should be a valid integer"):
        load(Wrong, environ={"APP_CONFIG_DIR": str(config)})


def test_beside_the_source_if_not_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "config" / "settings.toml", 'name = "here"\n')
    monkeypatch.chdir(tmp_path)
    assert load(chassis.Settings, environ={}).name == "here"
