"""Where the team's package lies: what stands beside it is the service's too."""

import sys
from pathlib import Path
from typing import Any


def second_chassis(package: str) -> Path | None:
    """A chassis from before there was vendor/, beside the team's package: which is imported would depend on names."""
    beside = [home / "chassis" for home in homes(package)[:1]]
    here = Path(__file__).absolute().parent
    return next((place for place in beside if (place / "__init__.py").is_file() and place != here), None)


def homes(module: str) -> list[Path]:
    """The folders that may be the project's, of a package in `src/` or beside pyproject.toml; none of a script's.

    :param module: the name of the package, or of a module in it, which is imported.
    """
    package = sys.modules.get(module.partition(".")[0])
    file = getattr(package, "__file__", None)
    return list(Path(file).absolute().parents[1:3]) if file else []


def project(home: Path) -> dict[str, Any]:
    """What pyproject.toml in `home` says of the project; nothing if it cannot be read: a service starts without it."""
    import tomllib  # which an installed service needs for nothing

    try:
        return dict(tomllib.loads((home / "pyproject.toml").read_text(encoding="utf-8"))["project"])
    except (OSError, ValueError, KeyError):
        return {}
