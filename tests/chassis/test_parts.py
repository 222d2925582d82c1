import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.testclient import TestClient

from chassis import Service, Settings, parts
from chassis.failures import StartError
from chassis.part import Part
from chassis.settings import load
from installed import write_distribution


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
    """A team's package `paintshop`, of a service whose parts `tasks` and `database` are installed."""
    kinds = {"tasks": "chassis_tasks.part:Tasks", "database": "chassis_database.part:Database"}
    install(tmp_path, monkeypatch, "ours", **kinds)
    folder = tmp_path / "paintshop"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "paintshop"]:
        del sys.modules[name]


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, distribution: str, **kinds: str) -> None:
    """Have a distribution on the path that brings these parts."""
    write_distribution(folder, distribution, "1", kinds)
    monkeypatch.syspath_prepend(folder)
    parts.forget()


class Shelf(Part):
    after = ("pots", "not_there")


class Pots(Part):
    after = ("shelf",)


def test_those_that_others_build_on_open_first(package: Path) -> None:
    assert [*parts.installed("paintshop")] == ["database", "tasks"]


def test_those_that_need_no_order_open_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "a-shop", vases="chassis.part:Part", jars="chassis.part:Part")
    install(tmp_path, monkeypatch, "b-shop", bowls="chassis.part:Part")
    assert [*parts.installed("under_test")] == ["bowls", "jars", "vases"]


def test_a_part_that_is_not_installed_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "shop", shelf=f"{__name__}:Shelf")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Shelf.__module__])
    assert [*parts.installed("under_test")] == ["shelf"]


def test_parts_that_each_wait_for_the_other_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "shop", shelf=f"{__name__}:Shelf", pots=f"{__name__}:Pots")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Shelf.__module__])
    with pytest.raises(StartError, match=r"each want to open after the other: (pots|shelf), (pots|shelf)"):
        parts.installed("under_test")


def test_one_name_brought_by_two_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "one", shelf=f"{__name__}:Shelf")
    install(tmp_path, monkeypatch, "two", shelf=f"{__name__}:Pots")
    with pytest.raises(StartError, match=r"Two distributions bring a part shelf: (one and two|two and one)"):
        parts.installed("under_test")


def test_what_is_no_part_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "one", shelf="pathlib:Path")
    with pytest.raises(StartError, match=r"one brings a part shelf, but pathlib:Path is no chassis\.part\.Part"):
        parts.installed("under_test")


@pytest.mark.parametrize("kind", ["not_there:Shelf", "pathlib:Shelf", "falls:Shelf"])
def test_a_part_that_cannot_be_imported_is_told_in_a_sentence(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "falls.py").write_text("1 / 0\n", encoding="utf-8")
    install(tmp_path, monkeypatch, "one", shelf=kind)
    with pytest.raises(
        StartError, match=rf"one brings a part shelf, but {kind} cannot be imported: .*(not_there|Shelf|zero)"
    ):
        parts.installed("under_test")


@pytest.mark.parametrize("name", ["blob-store", "class", "__init__", "__main__", "settings", "api", "migrations"])
def test_a_name_that_no_part_can_have_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "one", **{name: f"{__name__}:Shelf"})
    with pytest.raises(StartError, match=rf"one calls a part {name}, .* Give the entry point .* another name\."):
        parts.installed("under_test")


@pytest.mark.parametrize("text", ["[twelvefold.parts]\nshelf\n", "[twelvefold.parts]\nshelf = of wood\n"])
def test_entry_points_that_cannot_be_read_are_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "one")
    (tmp_path / "one-1.dist-info" / "entry_points.txt").write_text(text, encoding="utf-8")
    with pytest.raises(StartError, match=r"(of wood|entry_points\.txt of one) cannot be (read|imported)"):
        parts.installed("under_test")


@pytest.mark.parametrize("older", [{"shelf": "not_there:Shelf"}, {"gone": "not_there:Gone"}])
def test_a_distribution_that_another_of_its_name_hides_does_not_count(
    older: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "older", monkeypatch, "The.Shop", **older)
    install(tmp_path / "newer", monkeypatch, "the-shop", shelf=f"{__name__}:Shelf")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Shelf.__module__])
    assert parts.installed("under_test") == {"shelf": Shelf}


@pytest.fixture
def shared(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package of a service that requires `tasks` by way of another, beside one that has a database, too."""
    (tmp_path / "ours-1.dist-info" / "entry_points.txt").write_text("", encoding="utf-8")
    install(tmp_path, monkeypatch, "our-database", database="chassis_database.part:Database")
    install(tmp_path, monkeypatch, "our-tasks", tasks="chassis_tasks.part:Tasks")
    write_distribution(tmp_path, "paint-shop", "1", {}, requires=["acme-all[fast] (>=1); python_version > '3'"])
    write_distribution(tmp_path, "acme-all", "1", {}, requires=["Our.Tasks==1", "not-there"])
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "paint_shop"\n', encoding="utf-8")
    (package / "tasks.py").write_text("from chassis_tasks import Tasks\ntasks = Tasks()\n", encoding="utf-8")
    return package


def test_a_part_of_another_service_in_the_environment_is_left_out(shared: Path) -> None:
    assert [*parts.found("paintshop")] == ["tasks"]


def test_what_another_service_s_part_needs_may_be_missing(shared: Path, tmp_path: Path) -> None:
    write_distribution(tmp_path, "our-database", "1", {"database": "not_there:Database"})
    parts.forget()
    assert [*parts.found("paintshop")] == ["tasks"]


def test_a_part_that_the_service_requires_must_have_its_module(shared: Path) -> None:
    (shared / "tasks.py").unlink()
    with pytest.raises(StartError, match=r"paintshop/tasks\.py has no `tasks = Tasks\(\.\.\.\)`"):
        parts.found("paintshop")


def test_a_part_whose_module_is_there_is_the_service_s_own(shared: Path) -> None:
    (shared / "database.py").touch()
    with pytest.raises(StartError, match=r"paintshop/database\.py has no `database = Database\(\.\.\.\)`"):
        parts.found("paintshop")


def test_settings_of_another_service_s_parts_are_left_out(shared: Path) -> None:
    text = "from chassis import Settings\nclass Own(Settings):\n    colour: str = 'red'\n"
    (shared / "settings.py").write_text(text, encoding="utf-8")
    own = import_module("paintshop.settings").Own
    assert not [name for name in parts.complete(own).model_fields if name.startswith("database")]
    assert [name for name in parts.complete(own).model_fields if name.startswith("task")]
    assert "database_url" in parts.complete(Settings).model_fields


def test_a_service_whose_distribution_is_not_installed_has_all_parts(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").unlink()
    with pytest.raises(StartError, match=r"paintshop/database\.py has no"):
        parts.found("paintshop")


def test_a_part_that_is_on_the_path_but_not_installed_is_told(package: Path, tmp_path: Path) -> None:
    (tmp_path / "ours-1.dist-info" / "entry_points.txt").write_text("", encoding="utf-8")
    parts.forget()
    import_module("paintshop")
    (package / "tasks.py").write_text("from chassis_tasks import Tasks\ntasks = Tasks()\n", encoding="utf-8")
    with pytest.raises(
        StartError, match=r"paintshop/tasks\.py has a part, and chassis_tasks is on the path, but its dis"
    ):
        parts.found("paintshop")


def test_a_module_of_a_part_s_name_may_hold_something_else(package: Path, tmp_path: Path) -> None:
    (tmp_path / "ours-1.dist-info" / "entry_points.txt").write_text("", encoding="utf-8")
    parts.forget()
    import_module("paintshop")
    (package / "tasks.py").write_text("tasks = ['paint']\n", encoding="utf-8")
    (package / "brushes.py").write_text("1 / 0\n", encoding="utf-8")  # not looked into
    assert parts.found("paintshop") == {}


def test_a_service_without_parts_has_none() -> None:
    assert parts.installed("under_test") == {}
    assert Service(package="under_test").parts == {}


def test_a_part_stands_in_the_module_of_its_name(package: Path) -> None:
    (package / "tasks.py").write_text("from chassis_tasks import Tasks\ntasks = Tasks()\n", encoding="utf-8")
    text = (
        "from sqlalchemy import MetaData\nfrom chassis_database import Database\n"
        "database = Database(package=__package__, metadata=MetaData())\n"
    )
    (package / "database.py").write_text(text, encoding="utf-8")
    assert list(parts.found("paintshop")) == ["database", "tasks"]


@pytest.mark.parametrize(
    "text", [None, "", "database = 'postgresql'\n", "from chassis_tasks import Tasks\ndatabase = Tasks()\n"]
)
def test_a_part_that_is_not_there_is_told_in_a_sentence(text: str | None, package: Path) -> None:
    if text is not None:
        (package / "database.py").write_text(text, encoding="utf-8")
    with pytest.raises(StartError, match=r"paintshop/database\.py has no `database = Database\(\.\.\.\)`"):
        parts.found("paintshop")


@pytest.mark.parametrize(
    ("distribution", "said"),
    [
        ("twelvefold-chassis-tasks", "update with --answer tasks=false"),
        ("acme-tasks", "take acme-tasks out of the dependencies"),
    ],
)
def test_it_is_said_how_to_do_without(
    distribution: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, distribution, tasks="chassis_tasks.part:Tasks")
    with pytest.raises(StartError, match=rf"has no `tasks = Tasks\(\.\.\.\)`\. Add it, or {said}\."):
        parts.found("email")


def test_what_a_part_s_module_lacks_itself_is_not_mistaken_for_it(package: Path) -> None:
    (package / "database.py").write_text("import not_there\n", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError, match="not_there"):
        parts.found("paintshop")


def test_settings_are_the_team_s_and_then_the_parts() -> None:
    joined = parts.with_settings_of([Paint, More], Settings)
    assert [*joined.model_fields] == [*Settings.model_fields, "paint_colour", "paint_layers", "more_of_it"]
    assert issubclass(joined, Settings)
    assert parts.with_settings_of([Paint, More], joined) is joined
    assert parts.with_settings_of([], Settings) is Settings


def test_two_settings_of_one_name_are_refused() -> None:
    class Own(Settings):
        paint_layers: int = 1

    with pytest.raises(StartError, match="Own has a setting paint_layers"):
        parts.with_settings_of([Paint], Own)


def test_settings_that_are_read_are_complete(config: Path, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///elsewhere.db")
    assert load(Settings).model_dump()["database_url"] == "sqlite:///elsewhere.db"


def test_a_part_lives_with_its_service(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")
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
