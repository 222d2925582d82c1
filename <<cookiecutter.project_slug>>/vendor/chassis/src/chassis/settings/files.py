"""Reads the files that settings come from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .places import Places

LINE_END = re.compile(r"\r?\n\Z")


def toml_tables(places: Places, problems: list[str]) -> list[tuple[str, dict[str, Any]]]:
    """What each of the TOML files says, lowest first, with the file's name as people know it."""
    names = ("settings.toml", f"settings.{places.environment}.toml", ".secrets.toml")
    files = [places.config / name for name in names if (places.config / name).is_file()]
    broken = {file: problem for file in files if (problem := _toml_problem(file))}
    problems.extend(broken.values())
    return list(_by_dynaconf(places.config, [file for file in files if file not in broken]))


def _toml_problem(file: Path) -> str | None:
    # dynaconf stops at the first broken file, and does not say which.
    try:
        tomllib.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return f"config/{file.name} is no UTF-8 text."
    except tomllib.TOMLDecodeError as error:
        return f"config/{file.name} is no valid TOML: {error}."
    except OSError as error:
        return f"config/{file.name} cannot be read: {error.strerror}."
    return None


def _by_dynaconf(directory: Path, files: list[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    from dynaconf import Dynaconf
    from dynaconf.utils.inspect import get_history

    # It reads files and nothing else. The environment is read by layers.py, because dynaconf parses its values as
    # TOML first (a password of 1e5 would become 100000.0), and without auto_cast a value in a file that begins
    # with @format or @jinja stays what it is. Paths are absolute, because it looks for others in parent folders.
    loaded = Dynaconf(
        root_path=str(directory),
        settings_files=[str(file) for file in files],
        core_loaders=["TOML"],
        loaders=[],
        environments=False,
        load_dotenv=False,
        auto_cast=False,
    )
    wanted = {str(file) for file in files}  # not settings.local.toml, which it finds by itself
    for entry in get_history(loaded):
        if entry["identifier"] in wanted:
            table = {key.lower(): value for key, value in entry["value"].items()}
            yield f"config/{Path(entry['identifier']).name}", table


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


def read_text(file: Path, who: str, problems: list[str]) -> str | None:
    """The text of `file` without the line end that editors put there; None, and a problem, if it cannot be read."""
    try:
        # newline="": what lies in a secret is its own business, to the last carriage return.
        with file.open(encoding="utf-8", newline="") as stream:
            return LINE_END.sub("", stream.read())
    except OSError as error:
        problems.append(f"{who}: {file} cannot be read: {error.strerror}.")
    except UnicodeDecodeError:
        problems.append(f"{who}: {file} is no UTF-8 text.")
    return None
