from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from chassis.http.api_docs import ASSETS

Serve = Callable[..., TestClient]


@pytest.fixture
def client(serve: Serve) -> TestClient:
    return serve(title="<Tea & Co>")


def test_the_page_and_all_that_it_needs_are_served(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "<title>&lt;Tea &amp; Co&gt;</title>" in page.text
    for name in (*ASSETS, "start.js"):
        assert f'"docs/{name}"' in page.text
        assert client.get(f"/docs/{name}").status_code == 200


def test_nothing_comes_from_elsewhere_and_no_script_is_inline(client: TestClient) -> None:
    page = client.get("/docs")
    assert "//" not in page.text.replace("<!doctype html>", "")
    (policy,) = page.headers.get_list("content-security-policy")
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["connect-src"] == "'self'"


@pytest.mark.parametrize("name", ASSETS)
def test_a_browser_is_sent_a_file_once(client: TestClient, name: str) -> None:
    first = client.get(f"/docs/{name}")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get(f"/docs/{name}", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_with_a_slash_it_is_the_same_page_behind_any_prefix(client: TestClient) -> None:
    response = client.get("/docs/", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (308, "../docs")


def test_it_is_found_under_a_root_path(serve: Serve) -> None:
    served = serve()
    behind = TestClient(served.app, root_path="/prefix")
    assert behind.get("/prefix/docs").status_code == 200
    assert behind.get("/prefix/docs/swagger-ui.css").status_code == 200
    assert behind.get("/prefix/openapi.json").json()["servers"] == [{"url": "/prefix"}]


def test_other_files_of_the_package_are_not_served(client: TestClient) -> None:
    for name in ("redoc.standalone.js", "../__init__.py", "%2e%2e/__init__.py", "nothing"):
        assert client.get(f"/docs/{name}").status_code == 404


def test_it_can_be_switched_off(serve: Serve) -> None:
    client = serve(docs=False)
    for path in ("/docs", "/docs/", "/docs/start.js", "/docs/swagger-ui.css", "/openapi.json"):
        assert client.get(path).status_code == 404
