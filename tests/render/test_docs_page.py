"""The API docs in a real browser: whoever has a token presses Authorize, and tries an endpoint that asks for one."""

from __future__ import annotations

import pytest

from browser import Browser
from docs_page import TOKEN, authorize, tried
from widened import Deploy

pytestmark = pytest.mark.slow

OPERATION = "notes_api_v1_notes_get"


def test_a_token_opens_what_asks_for_one(wide: Browser, embedded: Deploy) -> None:
    with embedded.running() as service:
        wide.open(f"http://{service.host}:{service.port}/docs")
        status, problem = tried(wide, OPERATION)
        assert (status, problem["title"], problem["instance"]) == ("401", "Unauthorized", "/api/v1/notes")
        authorize(wide, TOKEN, ("input", embedded.token))
        status, notes = tried(wide, OPERATION)
        assert (status, "tick" in notes) == ("200", True)
        assert [line for line in wide.complaints() if " 401 " not in line] == []
