from __future__ import annotations

from pathlib import Path

import pytest
import smoke

from service_process import SERVICE, make_service, path_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    service = make_service(tmp_path)
    change(service, 'print("pool closed", flush=True)', "pass")
    monkeypatch.chdir(service)
    monkeypatch.setenv("PYTHONPATH", path_of(service))
    return service


def change(folder: Path, old: str, new: str) -> None:
    assert old in SERVICE
    (folder / "src/sample/__main__.py").write_text(SERVICE.replace(old, new), encoding="utf-8")


@pytest.mark.slow
def test_a_service_that_keeps_its_promises_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke.main("sample") == 0
    said = capsys.readouterr().out
    assert "/livez, /startupz, /readyz answer 200" in said
    assert "with exit code 0" in said
    assert "describes 4 paths" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "said"),
    [("ABSENT", "it ended before it listened"), ("APP_PRT", "`python -m sample config check` failed")],
)
def test_what_does_not_start_is_broken(
    variable: str, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "1")
    assert smoke.main("sample") == 1
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_a_service_that_is_not_ready_is_broken(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "database-is-down").touch()
    assert smoke.main("sample") == 1
    assert "GET /readyz answered 503" in capsys.readouterr().err


@pytest.mark.slow
def test_a_line_that_is_no_event_is_broken(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, "pool closed", "bye")
    assert smoke.main("sample") == 1
    assert "a line of its log is no event in JSON: bye" in capsys.readouterr().err


@pytest.mark.slow
def test_a_bad_end_is_broken(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(folder, 'print("pool closed", flush=True)', "os._exit(7)")
    assert smoke.main("sample") == 1
    assert "it stopped with exit code 7" in capsys.readouterr().err


def test_a_line_of_json_that_is_no_event_is_broken() -> None:
    with pytest.raises(smoke.BrokenError, match=r"no event in JSON: \[1\]"):
        smoke.events('{"message": "x"}\n[1]\n')


def test_a_command_that_does_not_end_is_broken(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(smoke, "START_SECONDS", 0.01)
    assert smoke.main("sample") == 1
    assert capsys.readouterr().err == "Broken: `python -m sample config check` did not end within 0 s.\n"
