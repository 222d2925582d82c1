"""A real browser, driven by the W3C's WebDriver protocol: Debian's chromium and chromedriver."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from children import child
from ports import free_port

QUIET = [
    "--headless",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # it runs as root in a container, and opens pages of our own
]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of a reference to one, by the W3C's recommendation


def tools() -> list[str]:
    """What is missing on this machine to run one."""
    return [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]


class Browser:
    """One window. Raises AssertionError, with the driver's words, when something cannot be done."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, url: str) -> None:
        self._post("url", url=url)

    def forget(self) -> None:
        """Leave the page, and keep nothing of what was said, stored, or set for it."""
        self.devtools("Emulation.clearDeviceMetricsOverride")
        self.devtools("Emulation.setEmulatedMedia", features=[])
        self.devtools("Storage.clearDataForOrigin", origin="*", storageTypes="all")
        self.open("about:blank")
        self.complaints()

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page and return what it returns."""
        return self._post("execute/sync", script=script, args=[*arguments])

    def type(self, selector: str, text: str) -> None:
        self._post(f"element/{self._find(selector)}/value", text=text)

    def click(self, selector: str) -> None:
        self._post(f"element/{self._find(selector)}/click")

    def text(self, selector: str) -> str:
        """What a person sees of an element."""
        return str(_asked(f"{self._session}/element/{self._find(selector)}/text"))

    def devtools(self, method: str, **parameters: Any) -> Any:
        """Call a method of Chromium's own protocol."""
        return self._post("goog/cdp/execute", cmd=method, params=parameters)

    def complaints(self) -> list[str]:
        """The warnings and errors on the console since the last call."""
        entries = self._post("se/log", type="browser")
        return [entry["message"] for entry in entries if entry["level"] in {"WARNING", "SEVERE"}]

    def wait_until(self, script: str, *, seconds: float = 20) -> Any:
        """Wait until what `script` returns is true, and return it; fails the test after so many seconds."""
        until = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < until, f"{script!r} did not become true; the page says:\n{self.text('body')}"
            time.sleep(0.02)
        return found

    def _find(self, selector: str) -> str:
        return str(self._post("element", using="css selector", value=selector)[ELEMENT])

    def _post(self, path: str, **body: Any) -> Any:
        return _asked(f"{self._session}/{path}", body)


@contextlib.contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """A browser with a new profile, in the empty folder `profile`."""
    # A port of our own choice: the driver takes one that is free for IPv6, and gives up if it is not for IPv4, too.
    port = free_port()
    with child("chromedriver", f"--port={port}", stdout=subprocess.PIPE) as process:
        _await_start(process)
        options = {"args": [*QUIET, f"--user-data-dir={profile}"], "binary": shutil.which("chromium")}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = _asked(f"http://127.0.0.1:{port}/session", {"capabilities": {"alwaysMatch": wanted}})
        session = f"http://127.0.0.1:{port}/session/{made['sessionId']}"
        try:
            yield Browser(session)
        finally:
            _asked(session, method="DELETE")


def _await_start(process: subprocess.Popen[str]) -> None:
    said = ""
    for line in process.stdout or ():
        said += line
        if "started successfully on port" in line:
            return
    raise AssertionError(f"chromedriver did not start:\n{said}")


def _asked(url: str, body: dict[str, Any] | None = None, *, method: str = "") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method or None)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["value"]
    except urllib.error.HTTPError as error:
        said = json.load(error)["value"]
        raise AssertionError(f"{said['error']}: {said['message']}") from error
