"""The example `poller`: what a team wrote, with all else rendered, is checked, run and asked as any service."""

from __future__ import annotations

import re
import shutil
import signal
import time
from pathlib import Path

import pytest

import example
from backing import database, queue
from browser import Browser
from commands import run
from polling import EXAMPLE, Poller, asked, crew, outcome, polling, web


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service that the example becomes."""
    return example.written(EXAMPLE, tmp_path_factory.mktemp("examples") / "poller")


@pytest.fixture
def service(written: Path, tmp_path: Path) -> Path:
    """A copy of it, to run and to write into."""
    return Path(shutil.copytree(written, tmp_path / "poller", symlinks=True))


@pytest.fixture(scope="module")
def site(python: Path) -> object:
    with web(python) as address:
        yield address


def test_it_asks_urls_on_its_defaults(service: Path, python: Path, site: str) -> None:
    urls = [f"{site}/mixed/{number}" for number in range(200)]
    with polling(service, python) as poller:
        seen = [*poller.watched(poller.submit(urls), seconds=30)]
        (task,) = poller.ask("GET", "tasks?status=ready")["tasks"]
        result = poller.task(task["task_id"])["result"]
        assert poller.running.stop() == 0
    assert seen[-1] == {"status": "ready", "progress": {"done": 200, "total": 200}}
    assert [*result] == urls
    answers = [outcome(each) for each in result.values()]
    assert (answers.count(200), answers.count(500), answers.count("reset")) == (180, 18, 2)
    assert not [event for event in poller.running.events if event["level"] in {"error", "critical"}]


@pytest.mark.slow
def test_its_metrics_tell_what_came_of_urls(service: Path, python: Path, site: str) -> None:
    with polling(service, python) as poller:
        poller.done(poller.submit([f"{site}/status/204", f"{site}/status/404", "http://nobody.invalid/"]))
        metrics = poller.running.get("/metrics").body.decode()
    for outcome_, number in (("2xx", 1), ("4xx", 1), ("dns", 1)):
        assert f'polled_urls_total{{outcome="{outcome_}"}} {number}.0' in metrics


@pytest.mark.slow
def test_a_process_that_is_killed_loses_no_url(service: Path, python: Path, site: str) -> None:
    urls = [f"{site}/mixed/{number}" for number in range(1000)]
    with polling(service, python, APP_POLL_CONCURRENCY="20") as poller:
        task_id = poller.submit(urls)
        for update in poller.watched(task_id, seconds=60):
            if update["progress"]["done"] > 100:
                break
        poller.running.process.send_signal(signal.SIGKILL)
        before = update["progress"]["done"]
    with polling(service, python) as poller:
        half = poller.task(task_id)
        assert before <= half["progress"]["done"] < 1000
        whole = poller.done(task_id, seconds=90)
    assert [*whole["result"]] == urls
    for url, result in half["result"].items():
        assert whole["result"][url] == result, "a result was replaced"


@pytest.mark.slow
@pytest.mark.parametrize("count", [5_000, pytest.param(10_000, marks=pytest.mark.deep)])
@pytest.mark.parametrize("broker", ["redis", "nats"])
def test_workers_that_are_killed_lose_no_url_and_double_none(
    broker: str, count: int, service: Path, python: Path, site: str
) -> None:
    urls = [f"{site}/mixed/{number}?{broker}{count}" for number in range(count)]
    with database(python) as url, queue(broker, python) as variables:
        variables |= {"DATABASE_URL": url, "APP_POLL_PER_HOST": "50"}
        with polling(service, python, **variables) as poller, crew(service, python, 4, **variables) as workers:
            task_id = poller.submit(urls)
            for update in poller.watched(task_id, seconds=60):
                if update["progress"]["done"] > count // 5 * (5 - len(workers)):
                    workers.pop().process.send_signal(signal.SIGKILL)
                if len(workers) == 2:
                    break
            task = poller.done(task_id, seconds=120)
            assert poller.running.stop() == 0
    assert (task["status"], task["progress"]) == ("ready", {"done": count, "total": count})
    assert [*task["result"]] == urls
    often = [times for page, times in asked(site).items() if page.endswith(f"?{broker}{count}") and "99?" not in page]
    assert len(often) == count * 99 // 100
    assert sum(often) <= len(often) + 2 * 4 * 200  # again only what the two had in hand: four batches each


@pytest.mark.slow
def test_every_answer_is_what_openapi_says(service: Path, python: Path, tmp_path: Path) -> None:
    with polling(service, python, APP_POLL_SECONDS="1") as poller:
        command = ["schemathesis", "run", f"{poller.address}/openapi.json", "--header"]
        command += [f"Authorization: Bearer {poller.token}", "--max-examples", "20", "--seed", "1", "--no-color"]
        # A stream lasts as long as what it tells of, and no pattern says what is a URL.
        command += ["--exclude-path-regex", "/progress$", "--exclude-checks", "positive_data_acceptance"]
        done = run(*command, "--checks", "all", "--generation-database", "none", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"[1-9]\d* generated", done.stdout)
        assert poller.running.get("/readyz").status == 200
    assert not [event for event in poller.running.events if event["level"] in {"error", "critical"}]


# In a browser.


@pytest.fixture(scope="module")
def poller(written: Path, python: Path, tmp_path_factory: pytest.TempPathFactory) -> object:
    service = Path(shutil.copytree(written, tmp_path_factory.mktemp("pages") / "poller", symlinks=True))
    with polling(service, python) as found:
        yield found


def fill_in(browser: Browser, poller: Poller, *urls: str) -> None:
    browser.open(f"{poller.address}/")
    browser.type("#token", poller.token)
    browser.type("#urls", "\n".join(urls))
    browser.click("#submit")


@pytest.mark.slow
def test_the_page_shows_progress_and_results(browser: Browser, poller: Poller, site: str) -> None:
    fill_in(browser, poller, f"{site}/slow/0.1", f"{site}/slow/3", f"{site}/status/404", "http://nobody.invalid/")
    shown = "const bar = document.getElementById('progress'); return !bar.hidden && [bar.value, bar.max]"
    assert browser.wait_until(f"{shown}.join() == '3,4'") is True  # the slow one is not there yet
    browser.wait_until("return !document.getElementById('results').hidden")
    assert browser.text("#message") == "4 of 4 URLs have a result."
    rows = browser.run("return [...document.querySelectorAll('tbody tr')].map((row) => row.children[1].textContent)")
    assert rows == ["200", "200", "404", "dns"]
    assert browser.complaints() == []


@pytest.mark.slow
def test_the_page_cancels(browser: Browser, poller: Poller, site: str) -> None:
    before = poller.ask("GET", "tasks")["tasks"]
    fill_in(browser, poller, f"{site}/slow/20", f"{site}/slow/21")
    browser.wait_until("return !document.getElementById('cancel').hidden")
    browser.click("#cancel")
    browser.wait_until("return document.getElementById('message').textContent == 'Cancelled.'")
    assert poller.ask("GET", "tasks")["tasks"] == before


@pytest.mark.slow
def test_the_page_tells_what_is_wrong(browser: Browser, poller: Poller) -> None:
    fill_in(browser, poller, "http://example.com/", "file:///etc/passwd")
    browser.wait_until("return document.getElementById('message').textContent.includes('URL 2: ')")
    browser.run("document.getElementById('token').value = 'nonsense'")
    browser.click("#submit")
    browser.wait_until("return document.getElementById('message').textContent.includes('token')")


@pytest.mark.slow
def test_what_is_smuggled_into_the_page_does_not_run(browser: Browser, poller: Poller, site: str) -> None:
    fill_in(browser, poller, f"{site}/status/200?<img/src=x/onerror=window.smuggled=1>")
    browser.wait_until("return !document.getElementById('results').hidden")
    inline = "Object.assign(document.createElement('script'), {textContent: 'window.smuggled = 1'})"
    browser.run(f"document.body.append({inline})")
    browser.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.smuggled = 1\">')")
    time.sleep(0.2)
    assert browser.run("return window.smuggled") is None
    assert [complaint for complaint in browser.complaints() if "Content Security Policy" in complaint]


@pytest.mark.slow
def test_the_page_is_for_everybody(browser: Browser, poller: Poller) -> None:
    browser.open(f"{poller.address}/")
    nodes = browser.devtools("Accessibility.getFullAXTree")["nodes"]
    named = {
        node["role"]["value"]: node["name"]["value"]
        for node in nodes
        if node.get("role", {}).get("value") in {"textbox", "button", "heading", "main", "RootWebArea", "status"}
    }
    assert {"textbox", "button", "heading", "status", "main"} <= named.keys()
    unnamed = [node for node in nodes if node.get("role", {}).get("value") in {"textbox", "button"}]
    assert all(node["name"]["value"] for node in unnamed)
    assert browser.run("return document.documentElement.lang") == "en"


@pytest.mark.slow
def test_the_page_is_dark_where_the_person_likes_it_so(browser: Browser, poller: Poller) -> None:
    browser.open(f"{poller.address}/")
    colours = {}
    for scheme in ("light", "dark"):
        browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        colours[scheme] = browser.run("return getComputedStyle(document.body).color")
    assert colours == {"light": "rgb(0, 0, 0)", "dark": "rgb(255, 255, 255)"}
