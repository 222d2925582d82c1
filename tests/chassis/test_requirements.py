import sys
from importlib import import_module
from pathlib import Path

import pytest

from chassis.requirements import normalized, required
from installed import write_distribution


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with the package `hatshop`, and its distribution, `hats`, that requires another."""
    (tmp_path / "hatshop").mkdir()
    (tmp_path / "hatshop" / "__init__.py").touch()
    write_distribution(tmp_path, "hats", "1", {}, requires=["Felt_Works>=2"])
    write_distribution(tmp_path, "felt-works", "2", {}, requires=["wool; extra == 'warm'", "hats"])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "hatshop", raising=False)
    required.cache_clear()
    return tmp_path


def test_names_are_compared_as_indexes_do() -> None:
    assert normalized("Acme.Cache__two") == "acme-cache-two"


@pytest.mark.parametrize("file", ["hatshop.py", "hatshop/__init__.py"])
def test_the_distribution_is_found_by_the_files_that_it_lists(file: str, shop: Path) -> None:
    (shop / "hats-1.dist-info" / "RECORD").write_text(f"x.py,,\n{file},sha256=abc,0\n", encoding="utf-8")
    assert required("hatshop") == frozenset({"felt-works", "wool", "hats"})


def test_the_distribution_is_found_by_the_project_near_the_package(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop / "pyproject.toml").write_text('[project]\nname = "Hats"\n', encoding="utf-8")
    monkeypatch.setitem(sys.modules, "hatshop", import_module("hatshop"))
    assert required("hatshop") == frozenset({"felt-works", "wool", "hats"})


@pytest.mark.parametrize("file", ["hatshop/brim.py", "a/hatshop.py", "hatshop.pyi"])
def test_nothing_is_known_of_what_no_distribution_lists(file: str, shop: Path) -> None:
    (shop / "hats-1.dist-info" / "RECORD").write_text(f"{file},sha256=abc,0\n", encoding="utf-8")
    assert required("hatshop") is None
