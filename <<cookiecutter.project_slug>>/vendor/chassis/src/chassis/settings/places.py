"""Where a process reads its settings: which environment it is, which config/, which secrets."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel

from ..source import homes

PREFIX = "APP_"
CONFIG_DIR, SECRETS_DIR, ENVIRONMENT = f"{PREFIX}CONFIG_DIR", f"{PREFIX}SECRETS_DIR", f"{PREFIX}ENVIRONMENT"
# They say where to read, so that they can stand in the environment only.
SIGNPOSTS = (CONFIG_DIR, SECRETS_DIR)
SECRETS_HOME = Path("/run/secrets")
ENVIRONMENTS = ("development", "test", "staging", "production")


class SettingsError(Exception):
    """Settings that a service cannot start with: one sentence for each problem, none with a secret's value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Places(NamedTuple):
    """Where this process reads its settings."""

    environment: str
    config: Path
    secrets: Path | None
    dotenv: Path | None


def find_places(model: type[BaseModel], environ: Mapping[str, str]) -> Places:
    """Where to read the settings `model`, as `environ` says. Raises SettingsError."""
    environment = environ.get(ENVIRONMENT, model.model_fields["environment"].default)
    secrets = Path(environ.get(SECRETS_DIR, SECRETS_HOME)).absolute()
    chosen = environ.get(CONFIG_DIR)
    places = [Path(chosen)] if chosen else [home / "config" for home in (Path.cwd(), *homes(model.__module__))]
    config = next((place.absolute() for place in places if (place / "settings.toml").is_file()), None)
    problems = list(_misleading(environ))
    if config is None:
        looked = " or ".join(map(str, places))
        problems.append(f"There is no settings.toml in {looked}. Start in the service's folder, or set {CONFIG_DIR}.")
    else:
        problems.extend(_wrong_environment(environment, config))
    if SECRETS_DIR in environ and not secrets.is_dir():
        problems.append(f"{SECRETS_DIR} in the environment: there is no directory {secrets}.")
    if problems or config is None:
        raise SettingsError(problems)
    return Places(
        environment=environment,
        config=config,
        secrets=secrets if secrets.is_dir() else None,
        dotenv=config.parent / ".env" if environment == "development" else None,
    )


def _misleading(environ: Mapping[str, str]) -> Iterator[str]:
    for name in environ:
        if name.startswith("DYNACONF_") or name.endswith("_FOR_DYNACONF"):
            yield (
                f"{name} in the environment: dynaconf would obey it behind the service's back. Unset it; settings have "
                f"the prefix {PREFIX}."
            )


def _wrong_environment(environment: str, config: Path) -> Iterator[str]:
    files = {path.name.split(".")[1] for path in config.glob("settings.*.toml")}
    known = sorted({*ENVIRONMENTS, *files})
    if environment not in known:
        near = get_close_matches(environment, known, n=1)
        yield (
            f"{ENVIRONMENT} in the environment: {environment!r} is none of {', '.join(known)}. "
            f"{f'Did you mean {near[0]}?' if near else f'One of your own needs a file settings.NAME.toml in {config}.'}"
        )
