"""Take the pictures of README.md and docs/: `make run` and a rollup on a terminal, a rollup as a merge request, a
service's API docs, and the fleet's page.

Run by `make picture`. Needs chromium (`apt-get install chromium`).
"""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from click.testing import CliRunner
from markdown_it import MarkdownIt
from rich.console import Console
from rich.text import Text

import made_up
from rendered import TEMPLATE, render, run
from run import SCRATCH
from serving import install, render_anew, started, wait_for_address
from twelvefold.cli import main as twelvefold
from twelvefold.fleet.page import page

IMAGES = TEMPLATE / "docs" / "images"
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # it runs as root in a container, and opens pages of our own
]
# What a team edited.
EDITS = {
    "pyproject.toml": [
        ('  "fastapi",\n', '  "fastapi",\n  "numpy>=2",  # for the forecast\n'),
        ("line-length = 120", "line-length = 100"),
    ],
    "vendor/chassis/src/chassis/process/health.py": [('"""', '"""Patched in a hurry. ')],
}
# What the next release of the template changes.
RELEASED, NEXT = "0.2.0", "0.3.0"
CHANGES = {
    "<<cookiecutter.project_slug>>/pyproject.toml": [
        ("line-length = 120", "line-length = 110"),
        ('  "fastapi",\n', '  "anyio",\n  "fastapi",\n'),
    ],
    "<<cookiecutter.project_slug>>/Dockerfile": [("FROM", "# A comment of the next release.\nFROM")],
}
STYLE = "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto}code,pre{background:#f2f2f2;padding:.1em .3em}"


def main() -> int:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.stderr.write("chromium is missing; on Debian: apt-get install chromium\n")
        return 2
    write_terminal("make run", make_run(), "twelvefold", IMAGES / "run.svg")
    service = render_anew(SCRATCH)
    install(service)
    with started(service, "my_service") as process:
        screenshot(chromium, wait_for_address(process) + "/docs", IMAGES / "api-docs.png", "1100,600")
    with tempfile.TemporaryDirectory() as folder:
        picture_rollup(chromium, Path(folder))
        picture_fleet(chromium, Path(folder))
    return 0


def picture_rollup(chromium: str, folder: Path) -> None:
    """Update an edited service to a next release, and write what is said of it as two pictures."""
    template = folder / "twelvefold"
    run("git", "clone", "--quiet", TEMPLATE, template, folder=folder)
    release(template, RELEASED)
    service = render(folder, template)
    edit(service, EDITS)
    run("git", "init", "--quiet", folder=service)
    commit(service)
    run("git", "switch", "--quiet", "--create", "newer", folder=template)
    edit(template, CHANGES)
    release(template, NEXT)
    report = folder / "report.md"
    arguments = ["rollup", service, "--template", template, "--ref", "newer", "--no-lock", "--report", report]
    done = CliRunner().invoke(twelvefold, [str(argument) for argument in arguments], color=True)
    url = "https://github.com/org/twelvefold"
    write_terminal("twelvefold rollup", done.output.replace(str(template), url), "my-service", IMAGES / "rollup.svg")
    page = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(
        report.read_text(encoding="utf-8").replace("<details>", "<details open>").replace(str(template), url)
    )
    (folder / "report.html").write_text(f"<meta charset=utf-8><style>{STYLE}</style>{page}", encoding="utf-8")
    screenshot(chromium, (folder / "report.html").as_uri(), IMAGES / "report.png", "1000,900")


def picture_fleet(chromium: str, folder: Path) -> None:
    """Write a picture of the fleet's page, with services that are made up."""
    html = page(made_up.services(300), title="Payments", template=made_up.TEMPLATE, now=made_up.NOW)
    (folder / "fleet.html").write_text(html, encoding="utf-8")
    screenshot(chromium, (folder / "fleet.html").as_uri(), IMAGES / "fleet.png", "1100,900")


def make_run() -> str:
    """What `make run` shows at a terminal, up to its first request and Ctrl-C."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(TEMPLATE)
        os.execvp("make", ["make", "run"])  # noqa: S606 - no shell is wanted
    shown = read_until(terminal, "GET /api/v1/greeting")
    os.write(terminal, b"\x03")
    shown += read_until(terminal, "twelvefold: Stopped")
    os.waitpid(process, 0)
    return shown.replace(str(TEMPLATE), "~/twelvefold").replace("\r\n", "\n").replace("^C", "^C\n")


def read_until(terminal: int, sentence: str) -> str:
    """What the terminal shows up to the line with this sentence. Exits if the command ends without it."""
    shown = ""
    while not re.search(rf"{re.escape(sentence)}.*\n", shown):
        try:
            shown += os.read(terminal, 65536).decode()
        except OSError:  # its end, on Linux
            sys.exit(f"make run ended without {sentence!r}:\n{shown}")
    return shown


def write_terminal(command: str, output: str, title: str, picture: Path) -> None:
    console = Console(record=True, width=110, file=io.StringIO())
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text.from_ansi(output))
    console.save_svg(str(picture), title=title)


def edit(root: Path, edits: dict[str, list[tuple[str, str]]]) -> None:
    for name, replacements in edits.items():
        text = (root / name).read_text(encoding="utf-8")
        for old, new in replacements:
            text = text.replace(old, new, 1)
        (root / name).write_text(text, encoding="utf-8")


def release(template: Path, version: str) -> None:
    questions = template / "cookiecutter.json"
    declared = json.loads(questions.read_text(encoding="utf-8"))
    questions.write_text(json.dumps({**declared, "_template_version": version}, indent=2), encoding="utf-8")
    commit(template)


def commit(folder: Path) -> None:
    author = ("-c", "user.name=Team", "-c", "user.email=team@localhost")
    run("git", "add", "--all", folder=folder)
    run("git", *author, "commit", "--quiet", "--message", "As it is", folder=folder)


def screenshot(chromium: str, url: str, picture: Path, size: str) -> None:
    """Write `picture`, of `size` "width,height" in pixels. Raises CalledProcessError or TimeoutExpired."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        options = [
            "--headless",
            "--hide-scrollbars",
            "--virtual-time-budget=10000",  # milliseconds, for the page's scripts
            f"--window-size={size}",
            f"--user-data-dir={profile}",
            f"--screenshot={picture}",
        ]
        subprocess.run([chromium, *QUIET, *options, url], check=True, timeout=120, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
