"""Show the fleet: make eight services of older releases of the template, edited as teams do, and roll them all up.

examples/fleet says which services, what their teams did, and what the release changes. All of it lies in
.cache/fleet-demo, which is made anew each time. Run by `make fleet-demo`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from example import AUTHOR, commit, copy_template
from release import VERSION_SET, numbers, unreleased
from rendered import TEMPLATE, render, run, without_project
from serving import held_interrupts, own_interrupts, step

FLEET = TEMPLATE / "examples" / "fleet"
SCRATCH = TEMPLATE / ".cache" / "fleet-demo"
BRANCH = "twelvefold/update"
CANARY = "accounts"
SHOWN = "delivery"
STOP_SECONDS = 15
WHAT_TO_SEE = """
  the page         {page}
  a service        git -C {folder}/git/billing.git log -p main..{branch}
  what was asked   {folder}/fleet.toml
  the teams' edits {source}/services.toml
  your own fleet   docs/fleet.md
"""


class DemoError(Exception):
    """What came out other than examples/fleet says."""


class Clock:
    """Steps, each with the seconds since `make fleet-demo`."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def step(self, sentence: str) -> None:
        step(f"{time.monotonic() - self.began:3.0f} s  {sentence}")


def main() -> int:
    """Return 0 if all came out as examples/fleet says, 130 after Ctrl-C, 3 if anything failed or came out otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-lock", action="store_true", help="without uv.lock, which needs PyPI")
    options = parser.parse_args()
    with own_interrupts():
        try:
            demo(locked=not options.no_lock)
        except KeyboardInterrupt:
            step(f"Stopped. What was made lies in {SCRATCH}; the next run begins anew.")
            return 128 + signal.SIGINT
        except (DemoError, subprocess.CalledProcessError) as error:
            sys.stderr.write(f"{error}\n")
            return 3
    return 0


def demo(*, locked: bool) -> None:
    clock = Clock()
    shutil.rmtree(SCRATCH, ignore_errors=True)
    (SCRATCH / "git").mkdir(parents=True)
    services = read("services.toml")
    clock.step("Making a clone of the template with releases to show ...")
    versions = make_template(SCRATCH / "template")
    clock.step(f"Making {len(services)} services, and editing them as their teams did ...")
    made = [make_service(name, about, versions) for name, about in services.items()]
    if locked:
        clock.step("Locking dependencies with uv, in those whose teams do that (asks PyPI) ...")
        lock([service for service, about in zip(made, services.values(), strict=True) if about.get("locked")])
    for (name, about), service in zip(services.items(), made, strict=True):
        publish(service, about)
        print(f"  {name:<10} {versions[about['release']]}  {about['story']}")
    shutil.copy(FLEET / "fleet.toml", SCRATCH)
    clock.step("Looking at all, changing none:")
    fleet("rollup", "--check", exit_code=3)
    clock.step("Where they stand:")
    fleet("status", exit_code=3)
    clock.step("Rolling up: first the canary, then the rest; uv locks what changed ...")
    fleet("rollup", exit_code=3)
    refuse_other_outcomes(services)
    clock.step(f"Merging what was proposed to {CANARY}, as a reviewer does, and again; nothing else moved ...")
    merge(CANARY)
    fleet("rollup", exit_code=3)
    known = refuse_other_outcomes(services, expected={CANARY: "in step"})
    page = SCRATCH / "fleet.html"
    fleet("report", "--output", str(page), "--title", "The demo's fleet")
    clock.step(f"The merge request of {SHOWN}, in full, for a person to look at:")
    print("\n" + "".join(f"  | {line}\n" for line in known[SHOWN]["report"].splitlines()))
    clock.step("Done. What to look at:")
    print(WHAT_TO_SEE.format(page=page, folder=SCRATCH, source=FLEET, branch=BRANCH), flush=True)
    show(page)


def read(name: str) -> dict[str, Any]:
    return tomllib.loads((FLEET / name).read_text(encoding="utf-8"))


def make_template(folder: Path) -> dict[str, str]:
    """A clone of this template with three releases, as tags; return their versions.

    They are the first that there was, this checkout as it lies here, and the one that examples/fleet describes.
    """
    git(TEMPLATE, "clone", "--quiet", "--no-tags", "--no-checkout", str(TEMPLATE), str(folder))
    developed = VERSION_SET.findall((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))[0]
    now = developed.removesuffix(".dev")
    major, minor, _ = numbers(now)
    versions = {"first": tag_first(folder) or now, "now": now, "next": f"{major}.{minor + 1}.0"}
    copy_template(folder)
    release(folder, versions["now"])
    changes = read("release.toml")
    edit(folder, changes["edits"])
    changelog = folder / "CHANGELOG.md"
    section = f"## {versions['next']} - unreleased\n{changes['changelog']}\n"
    text = changelog.read_text(encoding="utf-8")
    changelog.write_text(text.replace("\n## ", f"\n{section}## ", 1), encoding="utf-8")
    release(folder, versions["next"])
    return versions


def tag_first(folder: Path) -> str | None:
    """Tag the template's first release; None if its commit is not here."""
    released: dict[str, str] = json.loads((TEMPLATE / "releases.json").read_text(encoding="utf-8"))
    version, commit_hash = next(iter(released.items()))
    known = ["git", "cat-file", "-e", f"{commit_hash}^{{commit}}"]
    if subprocess.run(known, cwd=folder, capture_output=True, check=False).returncode:
        print(f"  Its release {version} is not in this clone: git fetch --unshallow. The services begin later then.")
        return None
    git(folder, "tag", version, commit_hash)
    return version


def release(folder: Path, version: str) -> None:
    """Set the version, date the changelog's section, commit and tag, as scripts/release.py does."""
    questions, changelog = folder / "cookiecutter.json", folder / "CHANGELOG.md"
    questions.write_text(VERSION_SET.sub(version, questions.read_text(encoding="utf-8")), encoding="utf-8")
    dated = unreleased(version).sub(rf"\1 - {datetime.now(UTC).date()}", changelog.read_text(encoding="utf-8"))
    changelog.write_text(dated, encoding="utf-8")
    commit(folder, f"Release {version}", shown=False)
    git(folder, "tag", version)


def edit(folder: Path, edits: Sequence[Mapping[str, str]]) -> None:
    """Do what examples/fleet says somebody did. Raises DemoError if a text to replace is not there."""
    for each in edits:
        path = folder / each["path"]
        if "text" in each:
            path.write_text(each["text"], encoding="utf-8")
        elif "move" in each:
            path.rename(folder / each["move"])
        elif "old" in each:
            text = path.read_text(encoding="utf-8")
            if each["old"] not in text:
                raise DemoError(f"examples/fleet: {each['path']} has no {each['old']!r} to replace.")
            path.write_text(text.replace(each["old"], each["new"]), encoding="utf-8")
        else:
            path.unlink()


def make_service(name: str, about: Mapping[str, Any], versions: Mapping[str, str]) -> Path:
    """A service as its team has it, in a folder of its own; not committed."""
    template = SCRATCH / "template"
    version = versions[about["release"]]
    git(template, "-c", "advice.detachedHead=false", "checkout", "--quiet", "--force", version)
    answers = {"project_name": name.title(), "owner": "shop", **about.get("answers", {})}
    service = render(SCRATCH / "services", template, **answers)
    edit(service, about.get("edits", []))
    return service


def lock(services: Sequence[Path]) -> None:
    """Make their uv.lock, all at once. Raises CalledProcessError for the first that fails."""
    command = ["uv", "lock", "--quiet"]
    running = [
        subprocess.Popen(command, cwd=service, env=without_project(), stderr=subprocess.PIPE, text=True)
        for service in services
    ]
    for service, process in zip(services, running, strict=True):
        _, complaint = process.communicate()
        if process.returncode:
            sys.stderr.write(complaint)
            raise subprocess.CalledProcessError(process.returncode, f"uv lock of {service.name}")


def publish(service: Path, about: Mapping[str, Any]) -> None:
    """Commit, and make the bare repository that the fleet knows."""
    commit(service, "The team's", shown=False)
    bare = SCRATCH / "git" / f"{service.name}.git"
    git(SCRATCH, "clone", "--quiet", "--bare", str(service), str(bare))
    if about.get("damaged"):
        shutil.rmtree(bare / "objects")


def fleet(*arguments: str, exit_code: int = 0) -> None:
    """Show and run `twelvefold fleet`. Raises DemoError if it ends with another exit code."""
    command = ["twelvefold", "fleet", *arguments]
    print(f"$ {' '.join(command)}", flush=True)
    with told_to_stop(command) as process:
        code = process.wait()
    print(f"  exit code {code}\n", flush=True)
    if code != exit_code:
        raise DemoError(f"{' '.join(command)} ended with {code}, not {exit_code}.")


@contextmanager
def told_to_stop(command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The running command. Ctrl-C is handed on to it, which has workers to end, and waited for."""
    process = None
    try:
        with held_interrupts():
            process = subprocess.Popen(command, cwd=SCRATCH, env=without_project(), start_new_session=True)
        yield process
    except KeyboardInterrupt:
        if process is None:
            raise
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise


def refuse_other_outcomes(
    services: Mapping[str, Any], expected: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return what the fleet knows of each service.

    Raises DemoError if one came out other than services.toml, or `expected`, says.
    """
    command = ["twelvefold", "fleet", "status", "--json"]
    done = subprocess.run(command, cwd=SCRATCH, env=without_project(), capture_output=True, text=True, check=False)
    known = {one["name"]: one for one in json.loads(done.stdout)}
    for name, result in known.items():
        wanted = (expected or {}).get(name, services[name]["outcome"])
        if result["outcome"] != wanted:
            raise DemoError(f"{name}: {result['outcome']}, not {wanted}. {result['sentence']}\n{result['report']}")
    return known


def merge(name: str) -> None:
    bare = SCRATCH / "git" / f"{name}.git"
    git(bare, "update-ref", "refs/heads/main", f"refs/heads/{BRANCH}")
    git(bare, "update-ref", "-d", f"refs/heads/{BRANCH}")


def show(page: Path) -> None:
    """Open the page where there is a screen."""
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(page.as_uri())
    else:
        step(f"There is no screen here to show the page on; open {page}")


def git(folder: Path, *arguments: str) -> None:
    run("git", *AUTHOR, *arguments, folder=folder, shown=False)


if __name__ == "__main__":
    sys.exit(main())
