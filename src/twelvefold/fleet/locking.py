"""`uv lock` for a service whose code nobody here has read: none of it runs.

`uv lock --no-build` is not enough for that. It builds the service's own package and the members of its workspace where
their metadata are dynamic or cannot be read, and it runs `.venv/bin/python` and what `.python-version` names. Where the
newest version of a dependency has no wheel, it takes an older one without a word. So it works on a copy that holds
nothing to run, and what it makes is taken only if it loses nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, time
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from twelvefold.decisions import Decision, Outcome
from twelvefold.engine.rollup import lock_dependencies
from twelvefold.errors import RefusedError
from twelvefold.pyproject import PROJECT
from twelvefold.workspace import LOCK, VENDOR, Places

NOTHING = "twelvefold-builds-nothing"
NO_BUILDS = {"requires": [f"{NOTHING} @ file://{os.devnull}/{NOTHING}"], "build-backend": "nothing"}
"""A build system that uv fails to install before it runs anything. Without one, uv would write another lock."""
NO_WHEEL = re.compile(r"Wheels are required for `([^`]+)`|Building source distributions for `([^`]+)` is disabled")
"""What uv says where it would have to build: see tests/fleet/test_locking.py, which asks the uv that is installed."""
READ = {"pyproject.toml", "setup.cfg", "setup.py", "uv.lock", "uv.toml"}
DISTRIBUTIONS = (".whl", ".tar.gz", ".zip")
"""What uv reads in a repository: these names, and distributions that a requirement may name by their path."""
WITHOUT = {".git", ".venv"}
PYTHONS = ("python-downloads-json-url", "python-install-mirror", "pypy-install-mirror")
"""Settings by which a repository would say where an interpreter comes from."""


def lock_without_building(clone: Path, folder: str) -> Decision | None:
    """Run `uv lock` in `folder` of the clone; return a decision if it did not work, or is left to the service.

    `uv.lock`, which a workspace has at its root, is as it was then.
    """
    clone = clone.resolve()
    lock = Places.of(clone / folder).at(LOCK)
    if lock.is_symlink():
        return _left("it is a symbolic link")
    try:
        with _copy_without_code(clone) as copy:
            return _locked(copy / folder, copy / lock.relative_to(clone), lock)
    except RefusedError as error:
        return _left(error.message)


def _locked(project: Path, copy: Path, lock: Path) -> Decision | None:
    """Lock `project`; put what that makes of `copy`, which is one of `lock`, in the place of that."""
    failed = lock_dependencies(project, "--no-build")
    if failed:
        needed = _needed(failed.note)
        return _left(needed) if needed else failed
    made = copy.read_bytes()
    if lost := _lost(lock.read_bytes(), made):
        return _left(f"without a build uv would lock other versions of {', '.join(lost)}")
    lock.write_bytes(made)
    return None


def _needed(complaint: str) -> str | None:
    """What would have to be built, by uv's complaint; None if that is about something else."""
    if NOTHING in complaint:
        return "its own metadata need a build"
    found = NO_WHEEL.search(complaint)
    return f"{found[1] or found[2]} has no wheel and needs a build" if found else None


def _left(reason: str) -> Decision:
    note = f"left to its own pipeline, because {reason}, and a fleet runs no code of a service. Run: make uv.lock"
    return Decision(Outcome.LEFT, "uv.lock", note=note)


@contextmanager
def _copy_without_code(clone: Path) -> Iterator[Path]:
    """A copy of what uv reads in a clone, beside it. Raises RefusedError if uv would read elsewhere, too.

    Links are left out, because they may lead out of the clone; but for those to the vendor/ of a workspace in it.
    """
    copy = clone.with_name(f"{clone.name}.locking")
    shutil.rmtree(copy, ignore_errors=True)  # of a run that was killed
    try:
        for path in _read_by_uv(clone):
            target = copy / path.relative_to(clone)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".toml":
                target.write_text(_without_code(path), encoding="utf-8")
            else:
                shutil.copyfile(path, target)
        for link in _shared(clone):
            (copy / link).symlink_to((clone / link).readlink())
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _read_by_uv(clone: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(clone):
        folders[:] = [name for name in folders if name not in WITHOUT]
        for path in (Path(folder, name) for name in files if name in READ or name.endswith(DISTRIBUTIONS)):
            if path.is_file() and not path.is_symlink():
                yield path


def _shared(clone: Path) -> Iterator[Path]:
    """The links, from the clone, by which services share the vendor/ of their workspace."""
    for folder, folders, _ in os.walk(clone):
        folders[:] = [name for name in folders if name not in WITHOUT]
        if VENDOR in folders and (Path(folder) / PROJECT).is_file() and Places.of(Path(folder)).is_shared:
            yield Path(folder).relative_to(clone) / VENDOR


def _without_code(path: Path) -> str:
    """A pyproject.toml or uv.toml that says nothing of code to run. Raises RefusedError if it cannot be read."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        table = content.get("tool", {}).get("uv", {}) if path.name == "pyproject.toml" else content
        _refuse_members_elsewhere(table.get("workspace", {}))
        for name in PYTHONS:
            table.pop(name, None)
        if "build-system" in content or table.get("package") is True:
            content["build-system"] = NO_BUILDS
    except (ValueError, AttributeError, TypeError) as error:
        raise RefusedError(f"{path.name} cannot be read") from error
    return "".join(f"{_toml(name)} = {_toml(value)}\n" for name, value in content.items())


def _toml(value: Any) -> str:
    """A value as TOML has it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(name)} = {_toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON has it as it is


def _refuse_members_elsewhere(workspace: Mapping[str, Any]) -> None:
    for member in workspace.get("members", []):
        if PurePosixPath(member).is_absolute() or ".." in PurePosixPath(member).parts:
            raise RefusedError("its workspace has members outside of the repository")


def _lost(before: bytes, after: bytes) -> list[str]:
    """The packages of a lock that another has not, or has older, for want of a build.

    A package without wheels must be there as it was, since uv without builds passes it over. One with wheels may become
    older only where a requirement or constraint says so.
    """
    old, new = _packages(before), _packages(after)
    known = {_identity(one) for one in new}
    unbuilt = {str(one["name"]) for one in old if _needs_a_build(one) and _identity(one) not in known}
    limits = _limits(after)
    return sorted(unbuilt | {name for name in _names(old) if _became_older(name, old, new, limits.get(name, ()))})


def _packages(lock: bytes) -> list[dict[str, Any]]:
    try:
        return list(tomllib.loads(lock.decode()).get("package", []))
    except ValueError:  # uv makes one that cannot be read anew
        return []


def _names(packages: Sequence[Mapping[str, Any]]) -> set[str]:
    return {str(one["name"]) for one in packages}


def _identity(package: Mapping[str, Any]) -> str:
    return json.dumps([package["name"], package.get("version"), package.get("source")], sort_keys=True)


def _needs_a_build(package: Mapping[str, Any]) -> bool:
    """Whether it came without wheels. A package of the repository itself does, too, and may change its version."""
    return not package.get("wheels") and not {"editable", "virtual", "directory"} & set(package.get("source", {}))


def _became_older(
    name: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], limits: Sequence[str]
) -> bool:
    before, after = _newest(name, old), _newest(name, new)
    if before is None or after is None or after >= before:
        return False
    try:
        return all(SpecifierSet(limit, prereleases=True).contains(before) for limit in limits)
    except InvalidSpecifier:
        return True


def _newest(name: str, packages: Sequence[Mapping[str, Any]]) -> Version | None:
    try:
        return max(
            (Version(one["version"]) for one in packages if one["name"] == name and "version" in one), default=None
        )
    except InvalidVersion:
        return None


def _limits(lock: bytes) -> dict[str, list[str]]:
    """What a lock's requirements and constraints say of versions, by package."""
    content = tomllib.loads(lock.decode())
    manifest = content.get("manifest", {})
    said = [*manifest.get("constraints", []), *manifest.get("overrides", [])]
    for package in content.get("package", []):
        metadata = package.get("metadata", {})
        said += metadata.get("requires-dist", [])
        said += [one for group in metadata.get("requires-dev", {}).values() for one in group]
    limits: dict[str, list[str]] = {}
    for one in said:
        limits.setdefault(one["name"], []).append(one.get("specifier", ""))
    return limits
