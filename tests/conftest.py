from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from commands import succeed
from environments import EVERYTHING, TEMPLATE, service_python
from rendered import OF_A_CALLING_MAKE
from renders import Kept, forget_old, kept
from required import require
from starts import real_starts

if TYPE_CHECKING:
    from browser import Browser
    from fleets import Fleet
    from histories import History
    from widened import Deploy

# What `make test ARGS="-k this"` says to pytest, and to uv, is not for the makes that tests call.
for name in (*OF_A_CALLING_MAKE, "ARGS", "UV_PYTHON"):
    os.environ.pop(name, None)

# Examples render services, on machines of any speed: their number is bounded, not their time. They are the same in each
# run, so that a change is judged and not the draw; HYPOTHESIS_RANDOM=1 HYPOTHESIS_EXAMPLES=500 looks for new ones.
settings.register_profile(
    "twelvefold",
    deadline=None,
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "25")),
    derandomize=os.environ.get("HYPOTHESIS_RANDOM") != "1",
)
settings.load_profile("twelvefold")

# A bare machine has told git no name, and what is tested commits: in processes of its own, too.
for who in ("AUTHOR", "COMMITTER"):
    os.environ.setdefault(f"GIT_{who}_NAME", "Test")
    os.environ.setdefault(f"GIT_{who}_EMAIL", "test@example.com")

Render = Callable[..., Path]


# An image that takes a minute to build, repositories that take a minute to make, a service that is installed first.
MADE_ONCE = (
    "tests/deploy/test_closed_network",
    "tests/deploy/test_image",
    "tests/fleet/test_hundred",
    "tests/pipelines/test_debian_13",
    "tests/pipelines/test_targets",
)


class MadeOnceByOneProcess(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Hands the tests of a file with an expensive set-up to one process, and all others out one by one.

    The groups of pytest-xdist are for this; its marks have no effect with pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file.startswith(MADE_ONCE) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> MadeOnceByOneProcess | None:
    """In the slow lane, which is where they are."""
    return MadeOnceByOneProcess(config, log) if config.getoption("markexpr").startswith("slow") else None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Once, and not in each worker."""
    if not hasattr(session.config, "workerinput"):
        forget_old()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The chassis' tests, by far the longest of all, begin first: at the end one core would wait for the other."""
    items.sort(key=lambda item: "/test_chassis.py::" not in item.nodeid)


@pytest.fixture(scope="session")
def rendered() -> Iterator[Render]:
    """A function that gives the render of a set of answers. Who writes into a service asks for `fresh` instead."""
    given: set[Kept] = set()

    @cache
    def service(**answers: str | bool) -> Path:
        found = kept(**answers)
        given.add(found)
        return found.service

    yield service
    for one in given:
        one.insist()


@pytest.fixture
def really_started() -> Iterator[None]:
    """For a test that measures a start, or looks at what only a process with an interpreter of its own has."""
    with real_starts():
        yield


@pytest.fixture
def fresh(rendered: Render, tmp_path: Path) -> Render:
    """A function that gives a copy of a rendered service to write into."""

    def copy(**answers: str | bool) -> Path:
        service = rendered(**answers)
        return Path(shutil.copytree(service, tmp_path / service.name, symlinks=True))

    return copy


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python of the environment that all rendered services share."""
    return service_python()


@pytest.fixture(scope="session")
def widened(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service with every capability, and a package of the team's that uses them. Not to run in: see the next two."""
    import widened

    service = rendered(**EVERYTHING)
    return widened.write_notes(Path(shutil.copytree(service, tmp_path_factory.mktemp("widened") / service.name)))


@pytest.fixture(scope="module")
def embedded(widened: Path, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Deploy:
    """A deploy of it that needs nothing of the machine."""
    import widened as deploys

    return deploys.embedded(widened, python, tmp_path_factory.mktemp("embedded"))


@pytest.fixture(scope="module")
def networked(widened: Path, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    """A deploy of it on PostgreSQL and Redis."""
    import widened as deploys

    with deploys.networked(widened, python, tmp_path_factory.mktemp("networked")) as deploy:
        yield deploy


@pytest.fixture(scope="session")
def one_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real browser. Skips the test where there is none, or fails it where REQUIRE_TOOLS=1."""
    import browser

    require(not browser.tools(), f"{', '.join(browser.tools())}, which .ci/run installs")
    with browser.browsing(tmp_path_factory.mktemp("browser") / "profile") as found:
        yield found


@pytest.fixture
def browser(one_browser: Browser) -> Browser:
    """The browser, as if it had just been started."""
    one_browser.forget()
    return one_browser


@pytest.fixture
def wide(browser: Browser) -> Browser:
    """The browser with a window in which no dialog of the API docs needs scrolling."""
    browser.devtools("Emulation.setDeviceMetricsOverride", width=1280, height=1600, deviceScaleFactor=1, mobile=False)
    return browser


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as its users get it: a git repository with a remote, without this checkout's caches."""
    clone = tmp_path_factory.mktemp("template") / "twelvefold"
    listed = git(TEMPLATE, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (TEMPLATE / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TEMPLATE / name, clone / name)
    commit(clone, "The template")
    git(clone, "remote", "add", "origin", "https://token:secret@git.example.com:8443/org/twelvefold.git")
    return clone


@pytest.fixture(scope="session")
def beginning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small template released as 0.1.0 in `template`, and a service of it in `services/pay-api`."""
    import histories

    folder = tmp_path_factory.mktemp("beginning")
    (folder / "template").mkdir()
    history = histories.History(folder / "template")
    history.release("0.1.0")
    histories.render(history, "0.1.0", folder)
    return folder


@pytest.fixture
def history(beginning: Path, tmp_path: Path) -> History:
    """A copy of the small template, to release more versions of."""
    import histories

    return histories.History(Path(shutil.copytree(beginning / "template", tmp_path / "template")))


@pytest.fixture
def service(beginning: Path, tmp_path: Path) -> Path:
    """A copy of the small template's service, to edit as a team does."""
    return Path(shutil.copytree(beginning / "services/pay-api", tmp_path / "services/pay-api"))


@pytest.fixture
def fleet(history: History, service: Path, tmp_path: Path) -> Fleet:
    """An empty fleet; its template has the release 0.1.0, which the seed is of, and 0.2.0."""
    import fleets

    history.release("0.2.0", {"owned/core.py": '"""The template\'s, mended."""\n', "owned/new.py": "NEW = True\n"})
    folder = tmp_path / "fleet"
    (folder / "git").mkdir(parents=True)
    made = fleets.Fleet(folder, history, service)
    made.configure()
    return made


def git(directory: Path, *arguments: str) -> str:
    """Run git in `directory`, whatever the user's own configuration says, and return its output."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main"]
    return succeed("git", *identity, *arguments, cwd=directory)


def commit(directory: Path, message: str) -> None:
    """Make `directory` a git repository if it is none, and commit everything in it."""
    if not (directory / ".git").exists():
        git(directory, "init", "--quiet")
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message", message)
