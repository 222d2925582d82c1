"""Reads the files that settings come from."""

import re
from pathlib import Path
from typing import Any

from .places import Places

LINE_END = re.compile(r"\r?\n\Z")


def toml_tables(places: Places, problems: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """What each of the TOML files says, lowest first, with the file's name as people know it."""
    names = ("settings.toml", f"settings.{places.environment}.toml", ".secrets.toml")
    there = [file for name in names if (file := places.config / name).is_file()]
    # dynaconf passes over a file that it cannot open, and reads one that is no UTF-8 in the locale's encoding.
    files = [file for file in there if read_text(file, f"config/{file.name}", problems) is not None]
    try:
        return _by_dynaconf(files)
    except ValueError:  # dynaconf stops at the first broken file, and does not say which
        return [table for file in files for table in _alone(file, problems)]


def _alone(file: Path, problems: list[str]) -> list[tuple[str, dict[str, Any]]]:
    try:
        return _by_dynaconf([file])
    except ValueError as error:
        problems.append(f"config/{file.name} is no valid TOML: {error}.")
        return []


def _by_dynaconf(files: list[Path]) -> list[tuple[str, dict[str, Any]]]:
    from dynaconf import Dynaconf
    from dynaconf.utils.inspect import get_history

    # It reads files and nothing else. The environment is read by layers.py, because dynaconf parses its values as
    # TOML first (a password of 1e5 would become 100000.0), and without auto_cast a value in a file that begins
    # with @format or @jinja stays what it is. Paths are absolute, because it looks for others in parent folders.
    loaded = Dynaconf(
        root_path=str(files[0].parent if files else ""),
        settings_files=[str(file) for file in files],
        core_loaders=["TOML"],
        loaders=[],
        environments=False,
        load_dotenv=False,
        auto_cast=False,
    )
    wanted = {str(file): f"config/{file.name}" for file in files}  # not settings.local.toml, which it finds by itself
    said = [(wanted.get(entry["identifier"]), entry["value"]) for entry in get_history(loaded)]
    return [(file, {key.lower(): value for key, value in table.items()}) for file, table in said if file]


def secret_files(places: Places, problems: list[str]) -> list[Path]:
    """The files in the secrets directory, prefixed names last; what is hidden or a folder is Kubernetes' own."""
    if places.secrets is None:
        return []
    try:
        files = [file for file in places.secrets.iterdir() if not file.name.startswith(".") and not file.is_dir()]
    except OSError as error:
        problems.append(f"The secrets directory {places.secrets} cannot be read: {error.strerror}.")
        return []
    return sorted(files, key=lambda file: (file.name.upper().startswith("APP_"), file.name))


def dotenv_texts(places: Places, problems: list[str]) -> dict[str, str]:
    """The variables in .env, as they stand there: nothing is interpolated, and `os.environ` is left alone."""
    if places.dotenv is None or not places.dotenv.is_file():
        return {}
    from dotenv.parser import parse_stream

    texts: dict[str, str] = {}
    try:
        with places.dotenv.open(encoding="utf-8-sig") as stream:
            for binding in parse_stream(stream):
                if binding.error or (binding.key and binding.value is None):
                    problems.append(f".env, line {binding.original.line}: this is not NAME=value.")
                elif binding.key and binding.value is not None:
                    texts[binding.key] = binding.value
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f".env cannot be read: {getattr(error, 'strerror', None) or 'it is no UTF-8 text'}.")
    return texts


def read_text(file: Path, called: str, problems: list[str]) -> str | None:
    """The text of `file` without the line end that editors put there; None, and a problem, if it cannot be read."""
    try:
        # newline="": what lies in a secret is its own business, to the last carriage return.
        with file.open(encoding="utf-8", newline="") as stream:
            return LINE_END.sub("", stream.read())
    except OSError as error:
        problems.append(f"{called} cannot be read: {error.strerror}.")
    except UnicodeDecodeError:
        problems.append(f"{called} is no UTF-8 text.")
    return None
