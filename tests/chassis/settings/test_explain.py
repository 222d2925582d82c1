"""What is said of settings that are wrong, and what is shown of those that are right."""

import stat
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

import chassis
from chassis.settings import SettingsError, load, read
from chassis.settings.explain import example_lines, shown
from service_process import TEMPLATE

VALUE = "hunter2-is-no-secret"


class Cache(BaseModel, frozen=True):
    url: str = "redis://localhost"
    password: SecretStr = SecretStr("change-me")
    api_token: str = ""


class Settings(chassis.Settings):
    greeting: Annotated[str, Field(min_length=2, examples=["Hi"])] = "Hello"
    token: Annotated[SecretStr | None, Field(min_length=30)] = None
    keys: tuple[SecretStr, ...] = ()
    cache: Cache | None = None
    hosts: tuple[str, ...] = ()
    retries: int | str = 3

    @field_validator("greeting")
    @classmethod
    def polite(cls, greeting: str) -> str:
        if greeting == "Oi":
            raise ValueError("Be polite.")
        return greeting

    @model_validator(mode="after")
    def consistent(self) -> "Settings":
        if self.greeting == "Tell":
            raise ValueError(f"the token {self.token and self.token.get_secret_value()} does not fit")
        return self


def problems(environ: dict[str, str], config: Path, model: type[chassis.Settings] = Settings) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(model, environ={"APP_CONFIG_DIR": str(config), **environ})
    return caught.value.problems


def toml(config: Path, text: str, name: str = "settings.toml") -> None:
    (config / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        (
            {"PORT": "eighty"},
            "port (APP_PORT), set by PORT in the environment: should be a valid integer, unable to parse string as an "
            "integer, not 'eighty'. Example: APP_PORT=8000",
        ),
        (
            {"APP_PORT": "70000"},
            "port (APP_PORT), set by APP_PORT in the environment: should be less than or equal to 65535, not '70000'. "
            "Example: APP_PORT=8000",
        ),
        (
            {"APP_LOG_FORMAT": "xml"},
            "log_format (APP_LOG_FORMAT), set by APP_LOG_FORMAT in the environment: should be 'auto', 'json' or "
            "'text', not 'xml'. Example: APP_LOG_FORMAT=auto",
        ),
        (
            {"APP_GREETING": "Oi"},
            "greeting (APP_GREETING), set by APP_GREETING in the environment: be polite, not 'Oi'. "
            "Example: APP_GREETING=Hi",
        ),
        (
            {"APP_HOSTS": "[a, b]"},
            'hosts, set by APP_HOSTS in the environment: should be a JSON list such as ["a", "b"], '
            "and is no valid JSON.",
        ),
        (
            {"APP_PROT": "1"},
            "APP_PROT in the environment: this service has no setting prot. Did you mean APP_PORT?",
        ),
        (
            {"APP_CACHE__PASWORD": "1"},
            "APP_CACHE__PASWORD in the environment: this service has no setting cache.pasword. "
            "Did you mean APP_CACHE__PASSWORD?",
        ),
        (
            {"APP_Greeting": "Hi"},
            "APP_Greeting in the environment: this service has no setting Greeting. Did you mean APP_GREETING?",
        ),
        (
            {"APP_PORT__X": "1"},
            "APP_PORT__X in the environment: this service has no setting port.x. port is a single value, not a table.",
        ),
        (
            {"APP_ZZZ": "1"},
            "APP_ZZZ in the environment: this service has no setting zzz. Remove it, or add it to Settings.",
        ),
        (
            {"APP_SECRET_DIR": "/"},
            "APP_SECRET_DIR in the environment: this service has no setting secret_dir. Did you mean APP_SECRETS_DIR?",
        ),
        (
            {"APP_SECRETS_DIR": "/nowhere"},
            "APP_SECRETS_DIR in the environment: there is no directory /nowhere.",
        ),
        (
            {"APP_ENVIRONMENT": "prodution"},
            "APP_ENVIRONMENT in the environment: 'prodution' is none of development, production, staging, test. "
            "Did you mean production?",
        ),
        (
            {"DYNACONF_PORT": "1"},
            "DYNACONF_PORT in the environment: dynaconf would obey it behind the service's back. "
            "Unset it; settings have the prefix APP_.",
        ),
        (
            {"APP_TOKEN_FILE": "/nowhere"},
            "APP_TOKEN_FILE in the environment: /nowhere cannot be read: No such file or directory.",
        ),
    ],
)  # fmt: skip
def test_a_sentence_names_variable_layer_expectation_and_example(
    environ: dict[str, str], sentence: str, config: Path
) -> None:
    assert problems(environ, config) == [sentence]


def test_a_file_is_named_with_an_example_for_it(config: Path) -> None:
    toml(config, 'name = ""\nport = "x"\ndocs = "perhaps"\nprot = 1\n[production]\ndocs = false\n')
    found = problems({}, config)
    assert "port (APP_PORT), set by port in config/settings.toml" in found[3]
    assert found[2].endswith('Example: name = "my-service"')
    assert found[3].endswith("Example: port = 8000")
    assert found[4].endswith("Example: docs = true")
    assert found[0] == "prot in config/settings.toml: this service has no setting prot. Did you mean port?"
    assert found[1].endswith("Sections of a file are not read: put it into config/settings.production.toml.")


def test_all_layers_and_all_problems_at_once(config: Path, tmp_path: Path) -> None:
    toml(config, "nmae = 'x'")
    toml(config, "port = -1", ".secrets.toml")
    (tmp_path / ".env").write_text("APP_DOCS=maybe\nthis is no assignment\nAPP_CONFIG_DIR=x\nOTEL_SDK_DISABLED=true\n")
    found = "\n".join(problems({"APP_HOST_NAME": "x", "APP_DRAIN_SECONDS": "-1"}, config))
    for part in [
        "nmae in config/settings.toml",
        "set by port in config/.secrets.toml",
        "set by APP_DOCS in .env",
        ".env, line 2: this is not NAME=value.",
        "APP_CONFIG_DIR in .env: it says where to read",
        "OTEL_SDK_DISABLED in .env: OpenTelemetry reads the environment only",
        "APP_HOST_NAME in the environment",
        "drain_seconds (APP_DRAIN_SECONDS)",
        "name (APP_NAME) is not set. Set it in config/settings.toml, or APP_NAME in the environment, such as APP_NAME=",
    ]:
        assert part in found
    assert len(found.splitlines()) == 9


def test_a_file_that_cannot_be_opened_is_named(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dynaconf itself warns of it, and goes on without."""
    toml(config, "port = 1", ".secrets.toml")
    opened = Path.open

    def refuse(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.name == ".secrets.toml":
            raise PermissionError(13, "Permission denied")
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    assert problems({}, config) == ["config/.secrets.toml cannot be read: Permission denied."]


def test_broken_files_are_all_named(config: Path) -> None:
    toml(config, "name = ")
    toml(config, "port = -1", "settings.development.toml")
    (config / ".secrets.toml").write_bytes(b"name = '\xff'")
    found = problems({}, config)
    assert "set by port in config/settings.development.toml" in found[3]
    assert found[0] == "config/.secrets.toml is no UTF-8 text."
    assert found[1].startswith("config/settings.toml is no valid TOML: Invalid value (at")


def test_a_folder_without_settings(tmp_path: Path) -> None:
    assert problems({}, tmp_path / "nowhere") == [
        f"There is no settings.toml in {tmp_path}/nowhere. Start in the service's folder, or set APP_CONFIG_DIR."
    ]


def test_an_environment_of_ones_own_has_a_file(config: Path) -> None:
    toml(config, 'greeting = "Try"', "settings.demo.toml")
    assert load(Settings, environ={"APP_CONFIG_DIR": str(config), "APP_ENVIRONMENT": "demo"}).greeting == "Try"


def test_only_the_environment_says_which_it_is(config: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("APP_ENVIRONMENT=staging\n")
    assert problems({}, config)[0].startswith("APP_ENVIRONMENT in .env: which environment this is decides what is read")


def test_both_a_value_and_a_file_for_it(config: Path, tmp_path: Path) -> None:
    (tmp_path / "t").write_text("x" * 30)
    assert problems({"APP_TOKEN": "x" * 30, "APP_TOKEN_FILE": str(tmp_path / "t")}, config) == [
        "APP_TOKEN_FILE in the environment: APP_TOKEN is set as well. Set one of them."
    ]


def test_a_secrets_file_that_cannot_be_used(config: Path, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "token").write_bytes(b"\xff")
    (secrets / "keys").symlink_to("nowhere")
    (secrets / "app_tokken").write_text("x")
    assert problems({"APP_SECRETS_DIR": str(secrets)}, config) == [
        f"The secrets directory: {secrets}/keys cannot be read: No such file or directory.",
        f"The secrets directory: {secrets}/token is no UTF-8 text.",
        f"the file {secrets}/app_tokken: this service has no setting tokken. Did you mean APP_TOKEN?",
    ]


@pytest.mark.parametrize(
    "environ",
    [
        {"APP_TOKEN": VALUE},
        {"APP_KEYS": f"[{VALUE}]"},
        {"APP_KEYS": f'[{{"a": "{VALUE}"}}]'},
        {"APP_CACHE": VALUE},
        {"APP_CACHE": f'{{"password": "{VALUE}"'},
        {"APP_CACHE": f'{{"api_token": "{VALUE}", "url": 5}}'},
        {"APP_CACHE__URL": "x", "APP_CACHE__PASSWORD__X": VALUE},
        {"APP_TOKEN": VALUE + "-" * 30, "APP_GREETING": "Tell"},
        {"APP_PORT": f"https://user:{VALUE}@host"},
        {"APP_PORT": f"https://user:p@{VALUE}/x@host?a"},
        {"APP_PORT": f"https://host/?token={VALUE}"},
        {"APP_ENVIRONMENT": "production", "APP_CACHE__URL": f"redis://:{VALUE}@h", "APP_TOKKEN": VALUE},
    ],
)
def test_no_sentence_holds_a_secret(environ: dict[str, str], config: Path) -> None:
    found = problems(environ, config)
    assert found
    assert VALUE not in "\n".join(found)


def test_a_secret_that_begins_like_another_is_masked_whole(config: Path) -> None:
    environ = {"APP_TOKEN": VALUE + "-" * 30, "APP_KEYS": VALUE[:7], "APP_GREETING": "Tell"}
    assert problems(environ, config) == ["The settings together: the token *** does not fit."]


def test_an_error_has_no_cause_that_would_print_one(config: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(Settings, environ={"APP_CONFIG_DIR": str(config), "APP_TOKEN": VALUE})
    assert caught.value.__cause__ is caught.value.__context__ is None


class Guarded(chassis.Settings):
    token: SecretStr = SecretStr("a-default-that-everybody-can-read")
    other: SecretStr | None = None
    cache: Cache = Cache()


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_secret_at_its_default_is_refused_outside_development(environment: str, config: Path) -> None:
    environ = {"APP_ENVIRONMENT": environment, "APP_OTHER": "Change_Me", "APP_PORT": "x"}
    found = problems(environ, config, Guarded)
    assert [line.split()[0] for line in found] == ["port", "token", "other"]
    found = problems({**environ, "APP_PORT": "1"}, config, Guarded)
    assert [line.split()[0] for line in found] == ["token", "other", "cache.password"]
    assert found[0] == (
        "token (APP_TOKEN) is a secret that is left at its default, a placeholder or empty, "
        f"and this is {environment}. "
        "Set APP_TOKEN or APP_TOKEN_FILE, or a file token in the secrets directory, or config/.secrets.toml."
    )
    assert "set by APP_OTHER in the environment," in found[1]


@pytest.mark.parametrize("text", ["", "changeme", "change-me", "CHANGE_ME", "todo", "xxxx", "<your token>"])
def test_a_placeholder_is_refused(text: str, config: Path) -> None:
    environ = {"APP_ENVIRONMENT": "production", "APP_TOKEN": text, "APP_CACHE__PASSWORD": "p1"}
    assert len(problems(environ, config, Guarded)) == 1


@pytest.mark.parametrize("environment", ["development", "test"])
def test_a_default_will_do_in_development(environment: str, config: Path) -> None:
    assert load(Guarded, environ={"APP_CONFIG_DIR": str(config), "APP_ENVIRONMENT": environment})


def test_shown_with_layers_and_without_secrets(config: Path) -> None:
    environ = {
        "APP_CONFIG_DIR": str(config),
        "APP_TOKEN": VALUE + "-" * 30,
        "APP_KEYS": VALUE,
        "APP_CACHE": f'{{"url": "redis://me:{VALUE}@h/0", "password": "{VALUE}", "api_token": "{VALUE}"}}',
    }
    found = read(Settings, environ=environ)
    rows: dict[str, Any] = {".".join(row.path): row for row in shown(found.settings, found.given)}
    assert VALUE not in str(rows)
    assert rows["token"][1:] == ("***", "environment", "APP_TOKEN")
    assert rows["cache.url"][1:] == ("redis://me:***@h/0", "environment", "APP_CACHE")
    assert rows["cache.api_token"].value == "***"
    assert rows["name"][1:] == ("under-test", "config/settings.toml", "name")
    assert rows["port"][1:] == (8000, "default", "")


def test_the_objects_can_be_printed(config: Path) -> None:
    found = read(Settings, environ={"APP_CONFIG_DIR": str(config), "APP_TOKEN": VALUE + "-" * 30})
    assert VALUE not in f"{found!r} {found.settings} {found.settings.model_dump_json()}"


def test_every_chassis_setting_is_described() -> None:
    assert [name for name, field in chassis.Settings.model_fields.items() if not field.description] == []


def test_env_example_lists_every_chassis_setting() -> None:
    written = (TEMPLATE / ".env.example").read_text(encoding="utf-8")
    expected = example_lines(chassis.Settings)
    missing = [line for line in expected if line not in written]
    assert missing == [], "Put these lines into .env.example; python -m <package> config example prints them."


def test_nothing_is_written(config: Path) -> None:
    for file in config.iterdir():
        file.chmod(stat.S_IRUSR)
    config.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert load(Settings, environ={"APP_CONFIG_DIR": str(config)})
