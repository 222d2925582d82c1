import re

import pytest
from starlette.testclient import TestClient


def test_the_page_and_all_that_it_needs_are_served(client: TestClient) -> None:
    page = client.get("/", headers={"authorization": ""})
    assert page.status_code == 200
    for name in re.findall(r'(?:src|href)="([^":]+)"', page.text):
        assert client.get(f"/{name}").status_code == 200, name


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css"])
def test_no_script_is_inline_and_nothing_comes_from_elsewhere(client: TestClient, path: str) -> None:
    answer = client.get(path)
    (policy,) = answer.headers.get_list("content-security-policy")
    assert "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"<script>|<style|style=|\son\w+=", answer.text)
    assert not re.search(r'(src|href|url\()=?"?(https?:)?//', answer.text)
