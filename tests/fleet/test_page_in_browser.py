"""The fleet's page as its readers have it: in a real browser, with the services of a large organisation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from environments import TEMPLATE
from made_up import NOW, services
from made_up import TEMPLATE as ADDRESS
from required import require
from twelvefold.fleet.page import AT_ONCE, page
from twelvefold.fleet.results import Result, TurnOutcome

if TYPE_CHECKING:
    from browser import Browser

pytestmark = pytest.mark.slow

AXE = TEMPLATE / ".cache/npm/node_modules/axe-core/axe.min.js"
SHOWN = "return [...document.querySelectorAll('table.services > tbody > tr[data-kind]:not([hidden])')]"
NAMES = f"{SHOWN}.map((row) => row.cells[0].textContent)"
REPORT = "return document.querySelector('tr.detail .report, tr.detail .soft')?.textContent"
CODES = {"Tab": 9, "Enter": 13, "Escape": 27, "/": 191}
TEXTS = {"Enter": "\r", "/": "/"}  # of the keys that write
ON_A_PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}


@pytest.fixture(scope="module")
def fleet() -> list[Result]:
    return services(500)


@pytest.fixture
def opened(browser: Browser, fleet: list[Result], tmp_path: Path) -> Browser:
    return show(browser, fleet, tmp_path / "fleet.html")


def show(browser: Browser, results: list[Result], file: Path) -> Browser:
    file.write_text(page(results, title="Acme", template=ADDRESS, now=NOW), encoding="utf-8")
    browser.open(file.as_uri())
    return browser


def press(browser: Browser, key: str) -> None:
    known = {"key": key, "code": key, "windowsVirtualKeyCode": CODES[key]}
    browser.devtools("Input.dispatchKeyEvent", type="rawKeyDown", **known)
    if key in TEXTS:
        browser.devtools("Input.dispatchKeyEvent", type="char", key=key, text=TEXTS[key])
    browser.devtools("Input.dispatchKeyEvent", type="keyUp", **known)


def test_it_stands_and_asks_nobody(opened: Browser) -> None:
    opened.wait_until("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert len(opened.run(NAMES)) == 500
    assert opened.run("return performance.getEntriesByType('resource').map((one) => one.name)") == []
    assert opened.complaints() == []


def test_it_is_searched_sorted_and_filtered_and_the_view_has_an_address(opened: Browser, fleet: list[Result]) -> None:
    opened.type("#search", "billing worker")
    wanted = sorted(one.name for one in fleet if "billing" in one.name and "worker" in one.name)
    opened.wait_until(f"{SHOWN}.length < 500")
    assert wanted
    assert set(opened.run(NAMES)) >= set(wanted)
    assert opened.text("#shown").endswith(f" of {len(fleet)}")
    opened.click("#clear")

    opened.click(".tile.failed")
    failed = {one.name for one in fleet if one.outcome is TurnOutcome.FAILED}
    assert set(opened.run(NAMES)) == failed
    opened.click("[data-sort=name]")
    assert opened.run(NAMES) == sorted(failed)
    opened.click("[data-sort=name]")
    assert opened.run(NAMES) == sorted(failed, reverse=True)
    assert opened.run("return document.querySelector('[data-sort=name]').closest('th').ariaSort") == "descending"

    address = opened.wait_until("return location.hash.includes('sort=-name') && location.href")
    opened.open("about:blank")
    opened.open(str(address))
    assert opened.run(NAMES) == sorted(failed, reverse=True)

    opened.type("#search", "there is no such service")
    opened.wait_until(f"{SHOWN}.length === 0")
    assert opened.text("#nothing") == "No service is like that."


def test_a_service_tells_its_last_report_to_whoever_has_no_mouse(opened: Browser, fleet: list[Result]) -> None:
    wanted = next(one for one in fleet if one.outcome is TurnOutcome.PERSON)
    press(opened, "/")
    assert opened.run("return document.activeElement.id") == "search"
    opened.devtools("Input.insertText", text=wanted.name)
    opened.wait_until(f"{SHOWN}.length === 1")
    for _ in range(30):
        press(opened, "Tab")
        if opened.run("return document.activeElement.className") == "open":
            break
    press(opened, "Enter")
    assert "Please look at" in opened.wait_until(REPORT)
    assert wanted.drift[0] in opened.text("tr.detail")
    assert opened.run("return document.activeElement.getAttribute('aria-expanded')") == "true"
    press(opened, "Escape")
    assert opened.run(REPORT) is None


def test_it_is_readable_on_a_phone_in_the_dark_and_by_a_screen_reader(browser: Browser, tmp_path: Path) -> None:
    require(AXE.is_file(), "axe-core, which .ci/run installs")
    show(browser, services(100), tmp_path / "fleet.html")
    browser.click("tr[data-kind=person] .open")
    browser.wait_until(REPORT)
    for scheme in ("light", "dark"):
        browser.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        for phone in (False, True):
            if phone:
                browser.devtools("Emulation.setDeviceMetricsOverride", **ON_A_PHONE)
                assert browser.run("return document.documentElement.scrollWidth") <= ON_A_PHONE["width"]
            assert violations(browser) == [], (scheme, phone)
        browser.devtools("Emulation.clearDeviceMetricsOverride")


def violations(browser: Browser) -> list[dict[str, Any]]:
    """What axe-core finds wrong: its rules are those of WCAG 2.2, and best practices."""
    browser.run(AXE.read_text(encoding="utf-8"))
    found = browser.run("return axe.run().then((results) => results.violations)")
    return [{"rule": one["id"], "where": [node["html"][:200] for node in one["nodes"][:3]]} for one in found]


def test_the_checker_sees_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    require(AXE.is_file(), "axe-core, which .ci/run installs")
    file = tmp_path / "bad.html"
    file.write_text("<!doctype html><title>Bad</title><img src=''><p style='color:#ccc;background:#fff'>Pale.", "utf-8")
    browser.open(file.as_uri())
    assert {"color-contrast", "html-has-lang", "image-alt"} <= {one["rule"] for one in violations(browser)}


def test_ten_thousand_services_can_be_searched(browser: Browser, tmp_path: Path) -> None:
    many = [Result(f"service-{number}", "u", TurnOutcome.IN_STEP, version="0.1.0") for number in range(10_000)]
    show(browser, many, tmp_path / "fleet.html")
    assert len(browser.run(NAMES)) == AT_ONCE
    browser.click("#more button")
    assert len(browser.run(NAMES)) == 2 * AT_ONCE
    browser.type("#search", "service-9999")
    browser.wait_until(f"{SHOWN}.length === 1")
    assert browser.text("#shown") == "1 of 10000"
