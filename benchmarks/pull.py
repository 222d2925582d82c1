"""Measure what it costs that a service updates itself: `make propose`, as its pipeline calls it.

Run by `make bench NAME=pull`. The service's repository and the template's are on a forge of this machine, which counts
what it sends and what it is asked; packages come from wherever uv has them from.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests")]

from commands import succeed  # noqa: E402
from conftest import commit, git  # noqa: E402
from environments import SERVICE, TEMPLATE, render, without_project  # noqa: E402
from forge_server import TOKEN, Forge, Handler, serving  # noqa: E402

ADDRESS = "https://github.com/org/twelvefold"
OURS, THEIRS = "acme/my-service", "org/twelvefold"


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took."""

    wall: float
    cpu: float
    sent: Counter[str]
    """Bytes that the forge sent, by project."""
    asked: int
    """Requests to the forge's API."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A service's clone, the template, and the forge that both live on."""

    clone: Path
    template: Path
    forge: Forge
    sent: Counter[str]

    def run(self, *, is_cold: bool = False) -> Run:
        """Run the job, with empty caches if it is cold: a hosted runner has none."""
        caches = self.clone.parent / "caches"
        if is_cold:
            shutil.rmtree(caches, ignore_errors=True)
        environment = {
            **without_project(*(name for name in os.environ if name.startswith("PYTHON"))),
            "GIT_CONFIG_GLOBAL": str(self.clone.parent / "gitconfig"),
            "UV_CACHE_DIR": str(caches / "uv"),
            "TWELVEFOLD_CACHE": str(caches / "templates"),
            "UV_NO_GITHUB_FAST_PATH": "1",
            "GITLAB_CI": "true",
            "CI_PROJECT_URL": f"{self.forge.url}/{OURS}",
            "CI_SERVER_URL": self.forge.url,
            "TWELVEFOLD_TOKEN": TOKEN,
        }
        self.sent.clear()
        self.forge.asked.clear()
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(["make", "--silent", "propose"], cwd=self.clone, env=environment, check=True)
        wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        # The forge's own git is among the children, a tenth or so.
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Run(wall, cpu, Counter(self.sent), len(self.forge.asked))

    def release(self, version: str) -> None:
        """Release the template with a change to three files that every service has."""
        for path in (".dockerignore", ".editorconfig", "vendor/chassis/src/chassis/__init__.py"):
            with (self.template / SERVICE.name / path).open("a", encoding="utf-8") as file:
                file.write(f"# {version}\n")
        questions = self.template / "cookiecutter.json"
        text = re.sub(r'(?<="_template_version": ")[^"]*', version, questions.read_text(encoding="utf-8"))
        questions.write_text(text, encoding="utf-8")
        commit(self.template, f"Release {version}")
        git(self.template, "tag", version)
        git(self.template, "push", "--quiet", str(self.forge.folder / f"{THEIRS}.git"), "HEAD:main", "--tags")


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """Set up a service at the template's release 0.2.0, with `uv.lock`."""
    git(folder, "clone", "--quiet", str(TEMPLATE), "template")
    git(folder / "template", "tag", "--force", "0.2.0")
    clone = render(folder / "rendered", ci="gitlab")
    succeed("make", "uv.lock", cwd=clone)
    commit(clone, "Rendered")
    sent: Counter[str] = Counter()
    for project, source in ((OURS, clone), (THEIRS, folder / "template")):
        bare = folder / f"git/{project}.git"
        git(folder, "clone", "--quiet", "--bare", str(source), str(bare))
        for name in ("http.receivepack", "uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            git(bare, "config", name, "true")
    git(clone, "remote", "add", "origin", str(folder / f"git/{OURS}.git"))
    with serving(folder / "git") as forge, counted(sent):
        there = forge.url.replace("http://", f"http://oauth2:{TOKEN}@")
        (clone.parent / "gitconfig").write_text(f'[url "{there}/{THEIRS}.git"]\n\tinsteadOf = {ADDRESS}\n')
        yield Bench(clone, folder / "template", forge, sent)


@contextmanager
def counted(sent: Counter[str]) -> Iterator[None]:
    """Count the bytes that git gets from the forge, by project."""
    answer = Handler._git

    def counting(handler: Any, path: str, query: str) -> None:
        write = handler.wfile.write

        def count(data: bytes) -> int:
            sent[path.split(".git/")[0].lstrip("/")] += len(data)
            return int(write(data))

        handler.wfile.write = count
        try:
            answer(handler, path, query)
        finally:
            handler.wfile.write = write

    with patch.object(Handler, "_git", counting):
        yield


def shown(name: str, runs: list[Run]) -> str:
    """A row of the table: medians."""

    def median(values: list[float]) -> float:
        return statistics.median(values)

    ours, theirs = (median([run.sent[project] / 1000 for run in runs]) for project in (OURS, THEIRS))
    wall, cpu, asked = (median([getattr(run, what) for run in runs]) for what in ("wall", "cpu", "asked"))
    return f"| {name} | {wall:.1f} | {cpu:.1f} | {ours:,.0f} | {theirs:,.0f} | {asked:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = range(parser.parse_args().rounds)
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder)) as there:
        there.run()  # what is compiled and cached once on this machine
        in_step = [there.run() for _ in rounds]
        cold = [there.run(is_cold=True) for _ in rounds]
        proposed, again = [], []
        for number in rounds:
            there.release(f"0.{3 + number}.0")
            proposed.append(there.run())
            again.append(there.run())
    rows = {"in step": in_step, "in step, no caches": cold, "a new release": proposed, "again": again}
    say = sys.stdout.write
    say("\n| job | wall s | CPU s | kB of the service | kB of the template | API requests |\n")
    say("| --- | --- | --- | --- | --- | --- |\n")
    say("".join(f"{shown(name, runs)}\n" for name, runs in rows.items()))


if __name__ == "__main__":
    main()
