"""Make a service of an example, which is only what a team wrote: render the rest, roll up, run it until Ctrl-C.

Run by `make example NAME=poller`.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

from rendered import TEMPLATE, run, without_project
from serving import follow, install, own_interrupts, render_anew, started, step, wait_for_address

EXAMPLES = TEMPLATE / "examples"
SCRATCH = TEMPLATE / ".cache" / "examples"
AUTHOR = ("-c", "user.name=Team", "-c", "user.email=team@localhost", "-c", "init.defaultBranch=main")
# A file of both: in it, the team's settings stand where the seed's stood.
SETTINGS = ".env.example"
# Another: an example has there the dependencies that its team added.
PROJECT = "pyproject.toml"
SEED_SETTINGS = "# What the service says before a name.\n#APP_GREETING=Hello\n"
WHAT_TO_SEE = """
  the service      {address}/
  the API docs     {address}/docs
  the code         {service}
  what it is for   {example}/README.md

Its log follows; Ctrl-C ends it.
"""


def main(name: str = "") -> int:
    """Return 0 if it was stopped while it served, 130 if before, 2 for no such example, 3 if the service failed."""
    example = EXAMPLES / name
    if not name or not (example / "answers.json").is_file():
        names = ", ".join(sorted(path.parent.name for path in EXAMPLES.glob("*/answers.json")))
        sys.stderr.write(f"Say which example: make example NAME=..., one of {names}\n")
        return 2
    with own_interrupts():
        try:
            code = show(example)
        except KeyboardInterrupt:
            code = 128 + signal.SIGINT
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"{error}\n")
            code = 3
    step("Stopped.")
    return code


def show(example: Path) -> int:
    step("Rendering a service with the example's answers, and laying its files over it ...")
    service = written(example, SCRATCH / example.name)
    step("Rolling the template up onto it, which changes nothing of the team's ...")
    roll_up(service, SCRATCH / "template")
    step("Installing it (a first run downloads its dependencies) ...")
    install(service)
    package = answers_of(service)["package_name"]
    subprocess.run(
        [service / ".venv/bin/python", "-m", package, "db", "upgrade"], cwd=service, env=without_project(), check=True
    )
    with started(service, package) as process:
        address = wait_for_address(process)
        print(WHAT_TO_SEE.format(address=address, service=service, example=example), flush=True)
        follow(process)
    return 0 if process.returncode == 0 else 3


def written(example: Path, scratch: Path) -> Path:
    """The service that a team made of a render: below `scratch`, which is emptied, and committed."""
    service = render_anew(scratch, **json.loads((example / "answers.json").read_text(encoding="utf-8")))
    lay_over(example, service)
    commit(service, "The example")
    return service


def lay_over(example: Path, service: Path) -> None:
    """Put the team's files into a fresh render, and take out the seeds in its code that the team did not keep."""
    manifest = json.loads((service / ".twelvefold/manifest.json").read_text(encoding="utf-8"))
    settings = (service / SETTINGS).read_text(encoding="utf-8")
    for name, about in manifest.items():
        if about["owner"] == "seeded" and name.startswith(("src/", "tests/")):
            (service / name).unlink()
    for path in files_of(example):
        target = service / path.relative_to(example)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    own = (example / SETTINGS).read_text(encoding="utf-8")
    (service / SETTINGS).write_text(settings.replace(SEED_SETTINGS, own), encoding="utf-8")
    if added := dependencies_of(example):
        run("uv", "add", "--quiet", "--frozen", *added, folder=service)


def dependencies_of(example: Path) -> list[str]:
    """What the team's own code needs besides what the template brings."""
    project = example / PROJECT
    return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["dependencies"] if project.is_file() else []


def files_of(example: Path) -> list[Path]:
    """The files that are the team's alone; the answers are what the render asked for."""
    return [example / name for name in listed(example) if name not in {"answers.json", PROJECT}]


def roll_up(service: Path, scratch: Path) -> None:
    """Roll up the template, as it lies here. Raises CalledProcessError if there is anything to tell of it."""
    template = copied(scratch)
    run("twelvefold", "rollup", service, "--template", template, "--ref", "main", "--no-lock", folder=TEMPLATE)
    run("git", "diff", "--exit-code", folder=service)


def copied(folder: Path) -> Path:
    """This template with what is not committed yet, as a repository in `folder`, which is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    copy_template(folder)
    commit(folder, "The template")
    return folder


def copy_template(folder: Path) -> None:
    """Copy the template's files into `folder`, committed or not."""
    for name in listed(TEMPLATE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TEMPLATE / name, folder / name)


def listed(folder: Path) -> list[str]:
    """The files below a folder of this checkout, committed or not, without those that git ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return sorted(name for name in found.split("\0") if name and (folder / name).is_file())


def commit(folder: Path, message: str, *, shown: bool = True) -> None:
    run("git", *AUTHOR, "init", "--quiet", folder=folder, shown=shown)
    run("git", "add", "--all", folder=folder, shown=shown)
    run("git", *AUTHOR, "commit", "--quiet", "--message", message, folder=folder, shown=shown)


def answers_of(service: Path) -> dict[str, str]:
    """The answers that a service was rendered with."""
    found: dict[str, str] = json.loads((service / ".twelvefold/answers.json").read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
