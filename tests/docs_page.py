"""The API docs in a browser, as a person uses them: the button Authorize, and the form that tries an endpoint."""

from __future__ import annotations

import json
from typing import Any

from browser import Browser

TOKEN, LOG_IN = ".auth-container:has(#auth-bearer-value)", ".auth-container:has(#oauth_username)"
"""The forms behind the button."""


def there(selector: str) -> str:
    return f"return !!document.querySelector({json.dumps(selector)})"


def press(browser: Browser, selector: str) -> None:
    browser.wait_until(there(selector))
    browser.click(selector)


def tried(browser: Browser, name: str) -> tuple[str, Any]:
    """The status and the body that the page shows for the endpoint whose operation is called so."""
    operation = f"[id$='{name}']"
    status = f"{operation} .live-responses-table .response .response-col_status"
    if not browser.run(there(f"{operation} .execute")):
        press(browser, f"{operation} .opblock-summary-control")
        press(browser, f"{operation} .try-out__btn")
    if browser.run(there(f"{operation} .btn-clear")):
        press(browser, f"{operation} .btn-clear")  # what an earlier try showed
    press(browser, f"{operation} .execute")
    browser.wait_until(there(status))
    shown = browser.run(
        f"return document.querySelector({json.dumps(operation)} + ' .live-responses-table pre').innerText"
    )
    return browser.text(status).split()[0], json.loads(shown)


def authorize(browser: Browser, form: str, *fields: tuple[str, str]) -> None:
    """Fill in one of the forms behind the button, and close it."""
    press(browser, ".scheme-container .btn.authorize")
    browser.wait_until(there(form))
    for field, text in fields:
        browser.type(f"{form} {field}", text)
    press(browser, f"{form} .btn.authorize")
    browser.wait_until("return document.querySelector('.dialog-ux').innerText.includes('Logout')")
    press(browser, ".dialog-ux .btn-done")
