from __future__ import annotations

import socket
from pathlib import Path

import pytest

from required import SERVICES, TOOLS, require, require_loopback, require_program, require_server


def test_what_is_there_is_returned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOOLS, "1")
    assert require("found", "it") == "found"
    assert require_program("sh").name == "sh"
    assert require_program("no-such-program", tmp_path / "absent", tmp_path) == tmp_path
    with socket.create_server(("127.0.0.1", 0)) as listener:
        require_server(f"redis://127.0.0.1:{listener.getsockname()[1]}/0")
    require_server("memory://")
    require_loopback("127.0.0.1")


@pytest.mark.parametrize("value", ["0", "", None])
def test_without_it_the_test_is_skipped(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOOLS, raising=False)
    if value is not None:
        monkeypatch.setenv(TOOLS, value)
    with pytest.raises(pytest.skip.Exception, match=r"^needs no-such-program, which \.ci/run installs$"):
        require_program("no-such-program")
    with pytest.raises(pytest.skip.Exception, match=r"^needs the address 192\.0\.2\.1: sudo ifconfig lo0 alias"):
        require_loopback("192.0.2.1")


def test_where_it_must_be_there_the_test_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOOLS, "1")
    monkeypatch.setenv(SERVICES, "1")
    with pytest.raises(pytest.fail.Exception, match=r"needs no-such-program.*REQUIRE_TOOLS=1"):
        require_program("no-such-program")
    with pytest.raises(pytest.fail.Exception, match=r"needs nats at 127\.0\.0\.1:1, .*REQUIRE_SERVICES=1"):
        require_server("nats://127.0.0.1:1")


def test_a_tool_and_a_service_are_required_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOOLS, "1")
    monkeypatch.setenv(SERVICES, "0")
    with pytest.raises(pytest.skip.Exception):
        require_server("nats://127.0.0.1:1")
