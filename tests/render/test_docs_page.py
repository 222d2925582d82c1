"""The API docs in a real browser: whoever has a token presses Authorize, and tries an endpoint that asks for one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from browser import Browser
from widened import Deploy

pytestmark = pytest.mark.slow

OPERATION = "[id$='notes_api_v1_notes_get']"
PASSWORD = "correct horse battery staple"  # noqa: S105 - everybody's
STATUS = f"{OPERATION} .live-responses-table .response .response-col_status"
TOKEN, LOG_IN = ".auth-container:has(#auth-bearer-value)", ".auth-container:has(#oauth_username)"


@pytest.fixture
def wide(browser: Browser) -> Browser:
    """A window in which the dialog of the button needs no scrolling."""
    browser.devtools("Emulation.setDeviceMetricsOverride", width=1280, height=1600, deviceScaleFactor=1, mobile=False)
    return browser


def there(selector: str) -> str:
    return f"return !!document.querySelector({json.dumps(selector)})"


def press(browser: Browser, selector: str) -> None:
    browser.wait_until(there(selector))
    browser.click(selector)


def tried(browser: Browser) -> tuple[str, Any]:
    """The status and the body that the page shows for the endpoint."""
    if not browser.run(there(f"{OPERATION} .execute")):
        press(browser, f"{OPERATION} .opblock-summary-control")
        press(browser, f"{OPERATION} .try-out__btn")
    if browser.run(there(f"{OPERATION} .btn-clear")):
        press(browser, f"{OPERATION} .btn-clear")  # what an earlier try showed
    press(browser, f"{OPERATION} .execute")
    browser.wait_until(there(STATUS))
    shown = browser.run(
        f"return document.querySelector({json.dumps(OPERATION)} + ' .live-responses-table pre').innerText"
    )
    return browser.text(STATUS).split()[0], json.loads(shown)


def authorize(browser: Browser, form: str, *fields: tuple[str, str]) -> None:
    """Fill in one of the forms behind the button, and close it."""
    press(browser, ".scheme-container .btn.authorize")
    browser.wait_until(there(form))
    for field, text in fields:
        browser.type(f"{form} {field}", text)
    press(browser, f"{form} .btn.authorize")
    browser.wait_until("return document.querySelector('.dialog-ux').innerText.includes('Logout')")
    press(browser, ".dialog-ux .btn-done")


def test_a_token_opens_what_asks_for_one(wide: Browser, embedded: Deploy) -> None:
    with embedded.running() as service:
        wide.open(f"http://{service.host}:{service.port}/docs")
        status, problem = tried(wide)
        assert (status, problem["title"], problem["instance"]) == ("401", "Unauthorized", "/api/v1/notes")
        authorize(wide, TOKEN, ("input", embedded.token))
        status, notes = tried(wide)
        assert (status, "tick" in notes) == ("200", True)
        assert [line for line in wide.complaints() if " 401 " not in line] == []


def test_a_log_in_opens_it_too(wide: Browser, embedded: Deploy) -> None:
    embedded.say("auth", "user", "add", "grace", "--scope", "notes", typed=f"{PASSWORD}\n")
    with embedded.running(APP_AUTH_ISSUE="true") as service:
        wide.open(f"http://{service.host}:{service.port}/docs")
        authorize(wide, LOG_IN, ("#oauth_username", "grace"), ("#oauth_password", PASSWORD))
        assert tried(wide)[0] == "200"
        assert wide.complaints() == []
