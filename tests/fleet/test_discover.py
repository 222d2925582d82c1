"""Which of the repositories that a forge lists are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import git
from forge_server import TOKEN, Fault, serving
from forge_server import Forge as Server
from twelvefold.errors import FailedError
from twelvefold.fleet.config import Discovered, ForgeConfig
from twelvefold.fleet.discover import discovered

KINDS = ["gitlab", "github"]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # what is waited out need not be waited for
    for name in ("acme/mail", "acme/old", "acme/pay-api", "acme/pay-web", "other/pay-api"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        git(tmp_path, "init", "--quiet", "--bare", f"{name}.git")
    with serving(tmp_path) as made:
        made.archived.add("acme/old")
        yield made


def found(server: Server, kind: str, token: str = TOKEN, **wanted: Any) -> list[str]:
    api = server.url if kind == "gitlab" else f"{server.url}/api/v3"
    listed = discovered(
        Discovered(**{kind: "acme", **wanted}), ForgeConfig.model_validate({"kind": kind, "url": api}), token
    )
    assert all(one.url.startswith(f"{server.url}/acme/") for one in listed)
    return [one.url.removeprefix(f"{server.url}/acme/").removesuffix(".git") for one in listed]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["mail", "pay-api", "pay-web"]),
        ({"match": "pay-*"}, ["pay-api", "pay-web"]),
        ({"match": "pay-*", "exclude": ["*-web", "x"]}, ["pay-api"]),
        ({"topic": "python"}, ["pay-api", "pay-web"]),
        ({"match": "PAY-*"}, []),
    ],
)
def test_what_is_archived_excluded_or_of_another_name_is_not_wanted(
    kind: str, wanted: dict[str, Any], names: list[str], server: Server
) -> None:
    assert found(server, kind, **wanted) == names


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("status", "said"), [(404, "no such group or organisation"), (403, "the token may not do this")]
)
def test_a_refusal_is_told(kind: str, status: int, said: str, server: Server) -> None:
    server.faults.extend([Fault(status)] * 9)
    with pytest.raises(FailedError, match=f"^acme: .*{said}"):
        found(server, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_is_wrong_is_told(kind: str, server: Server) -> None:
    with pytest.raises(FailedError, match="the token is not accepted") as error:
        found(server, kind, token="wrong-secret")  # noqa: S106
    assert "wrong-secret" not in error.value.message


@pytest.mark.parametrize("kind", KINDS)
def test_what_passes_by_itself_is_tried_again(kind: str, server: Server) -> None:
    server.faults.extend([Fault(503), Fault(429, {"Retry-After": "1"})])
    assert len(found(server, kind)) == 3
