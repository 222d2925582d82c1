"""The application that a new service begins with: what a repository that has one of its own is spared.

scaraplate.yaml declares it, as paths and as keys of other files. `twelvefold adopt` leaves it out where it finds an
application, the memory says so, and later rollups keep to it.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twelvefold.engine.ownership import filled, merged_files
from twelvefold.errors import RefusedError
from twelvefold.service import (
    ANSWERS,
    APPLICATION,
    MANIFEST,
    OWN,
    TEMPLATE,
    Answer,
    File,
    Repository,
    Service,
    load,
    reseal,
)
from twelvefold.strategies.files import FileRule

SHIPPED = ("Chart.yaml", "Containerfile*", "Dockerfile*", "*.Dockerfile", "Procfile", "*compose*.y*ml", "skaffold.yaml")
OF_NO_APPLICATION = (
    *("*.md", "*.rst", "*.txt", "*.toml", "*.cfg", "*.ini", "*.lock", "*.yml", "*.yaml", "*.json", "*.json5", "*.in"),
    *("*.svg", "*.png", "*.jpg", "*.gif", "*.config.js", "*.config.mjs", "*.config.ts", "*.mk"),
    *("CODEOWNERS", "COPYING*", "LICENCE*", "LICENSE*", "NOTICE*", "AUTHORS*", "README*", "CHANGELOG*", "VERSION"),
    *("Jenkinsfile", "Makefile", "conftest.py", "noxfile.py", "setup.py", "test_*.py", "*_test.py"),
)
"""Files that a repository without an application may have; what else is there is one. So may these folders:"""
BESIDE = frozenset({"doc", "docs", "test", "tests"})


@dataclass(frozen=True, slots=True)
class Application:
    """Patterns of paths; and by file, merged or owned, the keys in it, as `FileRule` takes them."""

    paths: tuple[str, ...] = ()
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def load(cls, rules: Mapping[str, Any]) -> Application:
        """Read `application:` of scaraplate.yaml. Raises RefusedError if it is not as documented there."""
        declared = rules.get("application") or {}
        if not isinstance(declared, Mapping) or not set(declared) <= {"paths", "keys"}:
            raise RefusedError("scaraplate.yaml: application takes paths and keys.")
        paths, keys = declared.get("paths") or [], declared.get("keys") or {}
        if not _are_texts(paths) or not isinstance(keys, Mapping) or not all(map(_are_texts, keys.values())):
            raise RefusedError("scaraplate.yaml: application: paths is a list of texts, and keys maps paths to such.")
        return cls(tuple(paths), {path: tuple(several) for path, several in keys.items()})

    def has(self, path: str, answers: Mapping[str, Answer]) -> bool:
        """Whether the path is the application's."""
        return _fits(path, filled(self.paths, answers))

    def leave_out(self, render: Path) -> list[str]:
        """Take the application out of a render, and note that in its memory; return what was there of it."""
        answers, manifest, stamp = (load(render, name) for name in (ANSWERS, MANIFEST, TEMPLATE))
        found = {pattern: fnmatch.filter(manifest, pattern) for pattern in filled(self.paths, answers)}
        for path in {path for paths in found.values() for path in paths}:
            (render / path).unlink()
            del manifest[path]
        keys = {path: keys for path, keys in self.keys.items() if path in manifest}
        for path in [path for path in keys if manifest[path]["owner"] != "merged"]:
            manifest[path]["sha256"] = _reduce(render, path, keys[path])
        if found or keys:
            stamp = {**stamp, APPLICATION: OWN}
        reseal(render, manifest, stamp)
        paths = [pattern for pattern, several in found.items() if several]
        return [*paths, *(f"{path} ({', '.join(several)})" for path, several in keys.items())]


def refuse_undeclared(rules: Mapping[str, Any]) -> None:
    """Raise RefusedError if the template does not say what its application is, so that none of it could be left out."""
    if "application" not in rules:
        raise RefusedError(
            "There is an application already, and this version of the template does not say what belongs to its own, "
            "so that it would be put beside it or over it. Name a version that does (application: in scaraplate.yaml): "
            "--ref"
        )


def _are_texts(several: object) -> bool:
    return isinstance(several, list) and all(isinstance(one, str) for one in several)


def _reduce(render: Path, path: str, keys: tuple[str, ...]) -> str:
    """Take keys out of an owned file; return its hash."""
    rule = FileRule.load({"path": path, "format": Path(path).suffix[1:]}).without(keys)
    content = rule.reduced((render / path).read_bytes())
    (render / path).write_bytes(content)
    return File(content).sha256


def spared(service: Service, rules: Mapping[str, Any]) -> Application | None:
    """The application of the template that the service is spared; None if it has it."""
    return Application.load(rules) if service.has_own_application else None


def rules_of(service: Service, rules: Mapping[str, Any]) -> dict[str, FileRule]:
    """The rules of merged files, without what the service is spared."""
    application = spared(service, rules) or Application()
    return {path: rule.without(application.keys.get(path, ())) for path, rule in merged_files(rules).items()}


def found_in(root: Path) -> list[str]:
    """The files that show that a repository has an application of its own, its sources first.

    In doubt it has one: a second application beside it is worse than none.
    """
    visible = [path for path in Repository.files(root) if not any(part.startswith(".") for part in path.split("/"))]
    sources = [path for path in visible if _is_source(path)]
    return [*sources, *(path for path in visible if path not in sources and _fits(path.split("/")[-1], SHIPPED))]


def _is_source(path: str) -> bool:
    *folders, name = path.split("/")
    return not _fits(name, (*OF_NO_APPLICATION, *SHIPPED)) and not BESIDE & set(folders)


def _fits(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
