import json
import time
from typing import Any

import pytest
from starlette.testclient import TestClient

from poller.__main__ import service
from poller.auth import READ, WRITE

from .conftest import token


def submit(client: TestClient, *urls: str, **options: Any) -> str:
    answer = client.post("/api/v1/submit", json={"urls": urls}, **options)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["task_id"])


def done(client: TestClient, task_id: str) -> dict[str, Any]:
    """The task when it is at its end."""
    for _ in range(200):
        task: dict[str, Any] = client.get(f"/api/v1/tasks/{task_id}").json()
        if task["status"] not in {"queued", "running"}:
            return task
        time.sleep(0.05)
    raise AssertionError(f"not done: {task}")


def updates(client: TestClient, task_id: str) -> list[dict[str, Any]]:
    """The events of a stream, until it ends."""
    text = client.get(f"/api/v1/tasks/{task_id}/progress").text
    return [json.loads(line.removeprefix("data:")) for line in text.splitlines() if line.startswith("data:")]


def test_urls_are_asked_and_each_has_one_result(client: TestClient, site: str) -> None:
    urls = [f"{site}/status/200", f"{site}/status/404", f"{site}/reset", "http://nobody.invalid/"]
    task = done(client, submit(client, *urls, urls[0]))
    assert (task["status"], task["progress"]) == ("ready", {"done": 4, "total": 4})
    answers = {url: result["error"] or result["status"] for url, result in task["result"].items()}
    assert answers == {urls[0]: 200, urls[1]: 404, urls[2]: "reset", urls[3]: "dns"}
    assert all(result["timestamp"].endswith("Z") for result in task["result"].values())


def test_more_than_a_batch(client: TestClient, site: str) -> None:
    urls = [f"{site}/status/204?{number}" for number in range(450)]
    task = done(client, submit(client, *urls))
    assert [*task["result"]] == urls
    assert {result["status"] for result in task["result"].values()} == {204}


def test_where_nothing_has_a_status_the_task_is_in_error(client: TestClient) -> None:
    assert done(client, submit(client, "http://nobody.invalid/"))["status"] == "error"


def test_the_place_of_the_task_is_told(client: TestClient, site: str) -> None:
    answer = client.post("/api/v1/submit", json={"urls": [f"{site}/"]})
    place = answer.request.url.join(answer.headers["location"])
    assert client.get(str(place)).json()["task_id"] == answer.json()["task_id"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/urls"),
        ({"urls": []}, "#/urls"),
        ({"urls": ["http://a.example/"] * 10_001}, "#/urls"),
        ({"urls": ["http://a.example/", "file:///etc/passwd"]}, "#/urls/1"),
        ({"urls": ["http://user:password@a.example/"]}, "#/urls/0"),
        ({"urls": [7]}, "#/urls/0"),
    ],
)
def test_what_cannot_be_asked_is_told(client: TestClient, body: dict[str, Any], pointer: str) -> None:
    answer = client.post("/api/v1/submit", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert "password" not in answer.text.replace("a password", "")


def test_progress_is_told_until_the_end(client: TestClient, site: str) -> None:
    task_id = submit(client, *(f"{site}/slow/0.3?{number}" for number in range(20)))
    seen = updates(client, task_id)
    assert seen[-1] == {"status": "ready", "progress": {"done": 20, "total": 20}}
    counts = [update["progress"]["done"] for update in seen]
    assert counts == sorted(counts)
    assert len(counts) > 1
    assert updates(client, task_id) == seen[-1:]


def test_a_task_is_cancelled_and_removed(client: TestClient, site: str) -> None:
    task_id = submit(client, *(f"{site}/slow/5?{number}" for number in range(20)))
    assert client.delete(f"/api/v1/tasks/{task_id}").status_code == 204
    assert client.get(f"/api/v1/tasks/{task_id}").status_code == 404
    assert client.get(f"/api/v1/tasks/{task_id}/progress").status_code == 404
    again = client.delete(f"/api/v1/tasks/{task_id}")
    assert (again.status_code, again.headers["content-type"]) == (404, "application/problem+json")


def test_tasks_are_listed_page_by_page(client: TestClient, site: str) -> None:
    ids = [submit(client, f"{site}/status/200") for _ in range(5)]
    for task_id in ids:
        done(client, task_id)
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for size in (2, 2, 1):
        page = client.get("/api/v1/tasks", params={"limit": 2, **cursor}).json()
        assert len(page["tasks"]) == size
        seen += [task["task_id"] for task in page["tasks"]]
        cursor = {"cursor": page["next"]}
    assert page["next"] is None
    assert seen == ids[::-1]
    assert len(client.get("/api/v1/tasks", params={"status": "ready"}).json()["tasks"]) == 5
    assert client.get("/api/v1/tasks", params={"status": "running"}).json() == {"tasks": [], "next": None}
    assert client.get("/api/v1/tasks", params={"status": "done"}).status_code == 422


def test_what_has_not_changed_is_not_sent_again(client: TestClient, site: str) -> None:
    url = f"{site}/cached"
    results = [done(client, submit(client, url))["result"][url] for _ in range(3)]
    assert [result["status"] for result in results] == [200] * 3
    assert [result["is_unchanged"] for result in results] == [False, True, True]
    theirs = token("bob")
    client.headers.update(theirs)
    assert not done(client, submit(client, url))["result"][url]["is_unchanged"]


def test_nobody_sees_the_tasks_of_others(client: TestClient, site: str) -> None:
    task_id = submit(client, f"{site}/status/200")
    done(client, task_id)
    client.headers.update(token("eve"))
    assert client.get("/api/v1/tasks").json()["tasks"] == []
    for method, path in (("GET", ""), ("GET", "/progress"), ("DELETE", "")):
        assert client.request(method, f"/api/v1/tasks/{task_id}{path}").status_code == 404
    client.headers.update(token())
    assert client.get(f"/api/v1/tasks/{task_id}").status_code == 200


ENDPOINTS = [
    ("POST", "/api/v1/submit", WRITE),
    ("GET", "/api/v1/tasks", READ),
    ("GET", "/api/v1/tasks/00000000-0000-7000-8000-000000000000", READ),
    ("GET", "/api/v1/tasks/00000000-0000-7000-8000-000000000000/progress", READ),
    ("DELETE", "/api/v1/tasks/00000000-0000-7000-8000-000000000000", WRITE),
]


@pytest.mark.parametrize(("method", "path", "scope"), ENDPOINTS)
def test_each_endpoint_asks_for_its_scope(client: TestClient, method: str, path: str, scope: str) -> None:
    (other,) = {READ, WRITE} - {scope}
    body = {"urls": ["http://a.example/"]} if method == "POST" else None
    del client.headers["authorization"]
    assert client.request(method, path, json=body).status_code == 401
    assert client.request(method, path, json=body, headers=token(scopes=(other,))).status_code == 403
    assert client.request(method, path, json=body, headers=token(scopes=(scope,))).status_code in {200, 202, 404}


def test_by_default_our_own_network_is_not_asked(monkeypatch: pytest.MonkeyPatch, tables: None, site: str) -> None:
    monkeypatch.delenv("APP_POLL_PRIVATE")
    with TestClient(service.app()) as client:
        client.headers.update(token())
        assert done(client, submit(client, site))["result"][site]["error"] == "forbidden_address"
