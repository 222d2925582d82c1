"""Take the README's picture: the API docs of a service with the default answers, in Debian's chromium.

Run by `make picture`. chromium comes from `apt-get install chromium`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile

from run import TEMPLATE, render, started, wait_for_address

PICTURE = TEMPLATE / "docs" / "images" / "api-docs.png"
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # it runs as root in a container, and opens one page of our own
]


def main() -> int:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.stderr.write("chromium is missing; on Debian: apt-get install chromium\n")
        return 2
    service = render()
    subprocess.run(["make", "--no-print-directory", "install"], cwd=service, check=True)
    with started(service) as process:
        screenshot(chromium, wait_for_address(process) + "/docs")
    return 0


def screenshot(chromium: str, url: str) -> None:
    """Write PICTURE. Raises CalledProcessError or TimeoutExpired if chromium cannot."""
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        options = [
            "--headless",
            "--hide-scrollbars",
            "--virtual-time-budget=10000",  # milliseconds, for the page's scripts
            "--window-size=1100,600",
            f"--user-data-dir={profile}",
            f"--screenshot={PICTURE}",
        ]
        subprocess.run([chromium, *QUIET, *options, url], check=True, timeout=120, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
