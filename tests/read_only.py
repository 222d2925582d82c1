"""Folders that cannot be written to, for a command."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from required import require


def read_only(folder: Path) -> list[str]:
    """What to write before a command so that it sees `folder` read-only, and everything below.

    Nobody stops root from writing but a mount, and only root may mount. Skips the test where neither is possible.
    """
    if os.geteuid() != 0:
        for path in [folder, *folder.rglob("*")]:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o555)
        return []
    require(_may_mount(), "a user other than root, or unshare --mount")
    mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd "$PWD" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", mount, str(folder)]


@cache
def _may_mount() -> bool:
    probe = ["unshare", "--mount", "mount", "--bind", "/tmp", "/tmp"]  # noqa: S108 - for that one process
    return (
        shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True, check=False).returncode == 0
    )
