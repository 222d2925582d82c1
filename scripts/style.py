"""Write .cache/style.toml: the style of a service, as far as it concerns the template's own repository.

Run by `make lint`, before nitpick. The hooks and the forbidden files are those of services on GitLab and on GitHub; of
pyproject.toml, it is what does not name a service's own packages, folders and dependencies.
"""

from __future__ import annotations

import re
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import tomlkit

from rendered import TEMPLATE, render

STYLE = TEMPLATE / ".cache/style.toml"
RUFF = re.compile(r"^\.venv/bin/ruff .*")
SHARED = {
    ("mypy", "strict"),
    ("pytest", "ini_options", "filterwarnings"),
    ("pytest", "ini_options", "xfail_strict"),
    ("ruff", "lint", "select"),
}


def style_of(ci: str) -> dict[str, Any]:
    """The style of a service with this CI, read."""
    with tempfile.TemporaryDirectory() as folder:
        return tomllib.loads((render(Path(folder), ci=ci) / ".nitpick-style.toml").read_text(encoding="utf-8"))


def own_style() -> dict[str, Any]:
    """What of the style of services the template is held to."""
    gitlab, github = style_of("gitlab"), style_of("github")
    tool: dict[str, Any] = {}
    for path in SHARED:
        value, table = gitlab["pyproject.toml"]["tool"], tool
        for key in path[:-1]:
            value, table = value[key], table.setdefault(key, {})
        table[path[-1]] = value[path[-1]]
    hooks = [here(repo) for repo in gitlab[".pre-commit-config.yaml"]["repos"]]
    more = [repo for repo in map(here, github[".pre-commit-config.yaml"]["repos"]) if repo not in hooks]
    return {
        "nitpick": gitlab["nitpick"],
        "pyproject.toml": {"tool": tool},
        ".pre-commit-config.yaml": {"repos": [*hooks, *more]},
    }


def here(repo: dict[str, Any]) -> dict[str, Any]:
    """A hook as it is here: ruff would read the pyproject.toml nearest to a file, and a service's is no TOML yet."""
    hooks = repo["hooks"]
    return {
        **repo,
        "hooks": [{**hook, "entry": RUFF.sub(r"\g<0> --config pyproject.toml", hook["entry"])} for hook in hooks],
    }


def main() -> int:
    STYLE.parent.mkdir(exist_ok=True)
    STYLE.write_text(tomlkit.dumps(own_style()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
