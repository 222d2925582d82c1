"""Stamp the render: name the package in the team's files and write the rollup's memory, `.twelvefold/`.

Runs in the rendered service, at every render and at every rollup. What it writes depends on the template and
the answers alone: no clock, no network, no path of this machine.
"""

import fnmatch
import hashlib
import json
import os
import re
import runpy
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment

# In single quotes, because tojson escapes these and no others.
TEMPLATE = Path(json.loads(r'<< template_dir | tojson >>'))  # fmt: skip
CONTEXT = json.loads(r'<< cookiecutter | tojson >>')  # fmt: skip
LEFT_OUT = json.loads(r'<< cookiecutter | left_out | tojson >>')  # fmt: skip
# `twelvefold rollup` has asked git for it: reading the whole template is most of what this hook does.
CONTENT = r'<< template_content | default("") >>'  # fmt: skip
MEMORY = Path(".twelvefold")
STYLE = Path(".nitpick-style.toml")
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C takes a tenth of the time
PLACEHOLDER = re.compile(r"\bservice_package\b")
CLOSING_MESSAGE = """
{project_name} is ready in {folder}/

  cd {folder}
  make run     start it; it prints its address
  make test    run its tests
  make help    everything else

Your team owns src/{package_name}; README.md says who owns the rest.
"""


def ownership(rules: dict[str, Any]) -> dict[str, str]:
    """Map each pattern in scaraplate.yaml, with the answers filled in, to owned, seeded or merged."""
    words = rules["ownership"]
    jinja = Environment()  # noqa: S701 - paths, as scaraplate renders them
    return {
        rendered(jinja, pattern): words[rule["strategy"] if isinstance(rule, dict) else rule]
        for pattern, rule in rules["strategies_mapping"].items()
    }


@cache
def rendered(jinja: Environment, name: str) -> str:
    """Render `name`, if it holds a tag: to compile each of some hundred would take longer than all else here."""
    tags = (jinja.variable_start_string, jinja.block_start_string, jinja.comment_start_string)
    return jinja.from_string(name).render(cookiecutter=CONTEXT) if any(tag in name for tag in tags) else name


def template_paths() -> tuple[list[Path], list[Path]]:
    """Return the files and the folders, deepest first, that the template has for these answers.

    In a folder that was there before (`cookiecutter -f`), all else is somebody's.
    """
    folder = next(TEMPLATE.glob("*cookiecutter.project_slug*"))
    files: list[str] = []
    folders: list[str] = []
    for root, inside, names in os.walk(folder, topdown=False):
        files += [f"{root}/{name}" for name in names]
        folders += [f"{root}/{name}" for name in inside]
    return named(files, folder), named(folders, folder)


def named(paths: list[str], folder: Path) -> list[Path]:
    """Return `paths` below `folder` under the names that they have for these answers; of others', one is empty."""
    jinja = Environment(**CONTEXT["_jinja2_env_vars"])  # noqa: S701 - paths, as cookiecutter renders them
    parts = [[rendered(jinja, part) for part in path.removeprefix(f"{folder}/").split("/")] for path in paths]
    return [Path(*names) for names in parts if all(names)]


@cache
def is_linked(path: Path) -> bool:
    """Whether writing to `path` would follow a symbolic link, perhaps out of the service."""
    return path.is_symlink() or (path != path.parent and is_linked(path.parent))


def is_off(path: Path) -> bool:
    """Whether a path lies in a folder that the answers have no use for."""
    return any(path.is_relative_to(folder) for folder in LEFT_OUT)


def remove_what_is_not_rendered(files: list[Path], folders: list[Path]) -> None:
    """Take away what cookiecutter has no condition for: what is no source, and whole folders."""
    for path in files:
        is_made = "__pycache__" in path.parts  # somebody ran the template's Python in place
        if (is_made or is_off(path)) and not is_linked(path):
            path.unlink(missing_ok=True)
    for path in folders:  # all of its files may belong to other answers
        if path.is_dir() and not is_linked(path) and not any(path.iterdir()):
            path.rmdir()


def name_the_package(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = PLACEHOLDER.sub(CONTEXT["package_name"], text)
    if named != text:
        path.write_text(named, encoding="utf-8", newline="")


def content_of_template() -> str:
    """One hash of all that a render depends on, made of git's own hashes: a rollup knows it without a render."""
    paths = [TEMPLATE / name for name in ("cookiecutter.json", "scaraplate.yaml", "twelvefold_answers.py")]
    for folder in (TEMPLATE / "hooks", next(TEMPLATE.glob("*cookiecutter.project_slug*"))):
        found = (path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
        paths += [path for path in found if "__pycache__" not in path.parts]
    return digest(f"{blob(path)} {path.relative_to(TEMPLATE).as_posix()}" for path in sorted(paths))


def blob(path: Path) -> str:
    """The mode and hash that git has for a file."""
    content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
    mode = "120000" if path.is_symlink() else "100755" if path.stat().st_mode & 0o100 else "100644"
    named = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return f"{mode} {named}"


def digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def write_style(rules: dict[str, Any]) -> None:
    """Add to the style, of which only the heading is rendered, what a service is held to: hooks/style.py."""
    configs = [rule["config"] for rule in rules["strategies_mapping"].values() if isinstance(rule, dict)]
    merged = {config["path"]: config for config in configs}
    style = runpy.run_path(str(TEMPLATE / "hooks/style.py"))["style"]
    text = STYLE.read_text(encoding="utf-8") + style(list(merged.values()), Path())
    STYLE.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, value: object) -> None:
    if is_linked(path):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="")
    path.chmod(0o644)


def keep(path: Path) -> None:
    last_applied = MEMORY / "applied" / path
    if not is_linked(last_applied):
        last_applied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, last_applied)


def main() -> None:
    files, folders = template_paths()
    remove_what_is_not_rendered(files, folders)
    loaded = yaml.load((TEMPLATE / "scaraplate.yaml").read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 - safe
    if STYLE in files and not is_linked(STYLE):
        write_style(loaded)
    rules = sorted(ownership(loaded).items())
    manifest = {}
    for path in sorted(path for path in files if path.is_file() and not is_linked(path)):
        name = path.as_posix()
        owner = next((word for pattern, word in rules if fnmatch.fnmatchcase(name, pattern)), "seeded")
        if owner == "seeded" and path.suffix == ".py":
            name_the_package(path)
        mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
        path.chmod(mode)  # whatever the umask of the template's clone
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest[name] = {"owner": owner, "mode": f"{mode:o}", "sha256": sha256}
        if owner == "merged":
            keep(path)
    answers = {question: answer for question, answer in CONTEXT.items() if not question.startswith("_")}
    write_json(MEMORY / "answers.json", answers)
    write_json(MEMORY / "manifest.json", manifest)
    stamp = {
        "url": CONTEXT["_template_url"],
        "version": CONTEXT["_template_version"],
        "content": CONTENT or content_of_template(),
        "memory": digest([json.dumps(answers, sort_keys=True), json.dumps(manifest, sort_keys=True)]),
    }
    write_json(MEMORY / "template.json", stamp)
    if "TWELVEFOLD_QUIET" not in os.environ:  # set in a rollup, whose user knows all this
        print(CLOSING_MESSAGE.format(folder=Path.cwd().name, **answers))


main()
