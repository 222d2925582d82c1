import json
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.testclient import TestClient

from chassis import Service, Settings, capabilities
from chassis.lifecycle import StartError
from chassis.part import Part
from chassis.settings import load


class Paint(BaseModel):
    paint_colour: str = "white"
    paint_layers: int = 2


class More(BaseModel):
    more_of_it: bool = False


class Painter(Part):
    settings = Paint

    def __init__(self) -> None:
        self.told: list[str] = []

    def join(self, others: Any) -> None:
        self.told.append(f"joins {', '.join(others)}")

    def resources(self) -> Any:
        @asynccontextmanager
        async def brush(settings: Paint) -> Any:
            self.told.append(f"opens {settings.paint_colour}")
            yield "a brush"
            self.told.append("closes")

        return {"brush": brush}

    def checks(self) -> Any:
        async def wet(given: Any) -> None:
            self.told.append(f"checks {given.brush}")

        return {"wet": wet}

    @asynccontextmanager
    async def at_work(self, state: Any) -> Any:
        self.told.append(f"works with {state['brush']}")
        yield
        self.told.append("rests")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A team's package `paintshop`, of a service whose render turned `database` and `auth` on."""
    (tmp_path / ".twelvefold").mkdir()
    note = tmp_path / ".twelvefold/template.json"
    note.write_text(json.dumps({"version": "1.2.3", "capabilities": "auth database"}), encoding="utf-8")
    folder = tmp_path / "paintshop"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "paintshop"]:
        del sys.modules[name]


def test_the_order_is_that_of_opening(package: Path) -> None:
    assert capabilities.declared() == ["database", "auth"]


def test_a_service_without_a_note_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.capabilities.note", dict)
    assert capabilities.declared() == []
    assert Service(package="under_test").parts == {}


def test_a_part_stands_in_the_module_of_its_name(package: Path) -> None:
    for name in ("database", "auth"):
        text = f"from chassis.part import Part\n{name} = Part()\n"
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    assert list(capabilities.found("paintshop")) == ["database", "auth"]


@pytest.mark.parametrize("text", [None, "", "database = 'postgresql'\n"])
def test_a_part_that_is_not_there_is_told_in_a_sentence(text: str | None, package: Path) -> None:
    if text is not None:
        (package / "database.py").write_text(text, encoding="utf-8")
    with pytest.raises(StartError, match=r"src/paintshop/database\.py has no `database = Database\(\.\.\.\)`"):
        capabilities.found("paintshop")


def test_what_a_part_s_module_lacks_itself_is_not_mistaken_for_it(package: Path) -> None:
    (package / "database.py").write_text("import not_there\n", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match="not_there"):
        capabilities.found("paintshop")


def test_settings_are_the_team_s_and_then_the_parts() -> None:
    joined = capabilities.with_settings_of([Paint, More], Settings)
    assert [*joined.model_fields] == [*Settings.model_fields, "paint_colour", "paint_layers", "more_of_it"]
    assert issubclass(joined, Settings)
    assert capabilities.with_settings_of([Paint, More], joined) is joined
    assert capabilities.with_settings_of([], Settings) is Settings


def test_two_settings_of_one_name_are_refused() -> None:
    class Own(Settings):
        paint_layers: int = 1

    with pytest.raises(StartError, match="Own has a setting paint_layers"):
        capabilities.with_settings_of([Paint], Own)


def test_settings_that_are_read_are_complete(config: Path, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///elsewhere.db")
    assert load(Settings).model_dump()["database_url"] == "sqlite:///elsewhere.db"


def test_a_part_lives_with_its_service(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.service.service_version", lambda name: "1.2.3")
    monkeypatch.setenv("APP_PAINT_COLOUR", "red")
    painter = Painter()
    with TestClient(Service(package="under_test", parts={"painter": painter}).app()) as client:
        assert client.get("/readyz").json()["checks"] == {"wet": "ok"}
    assert painter.told == [
        "joins painter",
        "opens red",
        "works with a brush",
        "checks a brush",
        "rests",
        "closes",
    ]
