"""Draw docs/architecture.md's pictures from the imports; with --check, only say whether they are up to date.

Each picture is a block of mermaid, which GitHub and GitLab render, between two marks in the page.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import grimp

TEMPLATE = Path(__file__).resolve().parents[1]
PAGE = TEMPLATE / "docs" / "architecture.md"
SOURCES = [TEMPLATE / "src", *sorted(TEMPLATE.glob("vendor/*/src"))]
MARKED = re.compile(r"(?P<begin><!-- map: (?P<house>\S+) -->\n).*?(?P<end><!-- end of map -->\n)", re.DOTALL)

Imports = Mapping[str, frozenset[str]]
"""Each room with the rooms that it imports."""


class Picture(NamedTuple):
    """What one picture shows."""

    house: str
    """The package whose folders and modules are shown one by one."""
    beside: tuple[str, ...] = ()
    """Other packages, each shown as one box."""

    def room(self, module: str) -> str | None:
        """The room that `module` belongs to; None if the picture does not show it."""
        package = module.partition(".")[0]
        if package in self.beside:
            return package
        depth = self.house.count(".") + 2
        return ".".join(module.split(".")[:depth]) if f"{module}.".startswith(f"{self.house}.") else None


def pictures() -> dict[str, Picture]:
    """The pictures by their house."""
    parts = sorted(file.parent.name for file in TEMPLATE.glob("vendor/*/src/*/__init__.py"))
    chassis = Picture("chassis", tuple(part for part in parts if part != "chassis"))
    return {picture.house: picture for picture in (Picture("twelvefold"), Picture("twelvefold.engine"), chassis)}


def imports(picture: Picture) -> Imports:
    """Who imports whom, be it in a function or for a type."""
    packages = [picture.house.partition(".")[0], *picture.beside]
    graph = grimp.build_graph(*packages, cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules:
        if (room := picture.room(module)) is None:
            continue
        imported = map(picture.room, graph.find_modules_directly_imported_by(module))
        found.setdefault(room, set()).update(each for each in imported if each not in {None, room})
    if not found.get(picture.house):
        found.pop(picture.house, None)  # an __init__.py with nothing in it
    return {room: frozenset(found[room]) for room in sorted(found)}


def without_implied(direct: Imports) -> Imports:
    """Only the imports that no longer way leads to as well. Raises CycleError if there is a circle."""
    below: dict[str, frozenset[str]] = {}
    for room in TopologicalSorter(direct).static_order():
        below[room] = direct[room].union(*(below[each] for each in direct[room]))
    return {
        room: frozenset(each for each in rooms if not any(each in below[other] for other in rooms))
        for room, rooms in direct.items()
    }


def drawn(picture: Picture) -> str:
    """The picture as a block of mermaid. Raises CycleError if rooms import each other in a circle."""
    rooms = without_implied(imports(picture))
    inside = [_door(room) if room == picture.house else _box(room) for room in rooms if room not in picture.beside]
    return "\n".join(
        [
            "```mermaid",
            "flowchart TD",
            *(f"  {_box(room)}" for room in picture.beside),
            f'  subgraph house["{_folder(picture.house).relative_to(TEMPLATE)}"]',
            *(f"    {box}" for box in inside),
            "  end",
            *_arrows(rooms),
            "```\n",
        ]
    )


def _box(room: str) -> str:
    folder = _folder(room)
    label = f'["{folder.name}/"]' if folder.is_dir() else f'("{folder.name}.py")'
    return f"{_identifier(room)}{label}"


def _door(house: str) -> str:
    return f'{_identifier(house)}("__init__.py")'


def _arrows(rooms: Imports) -> Iterator[str]:
    for room, imported in rooms.items():
        for each in sorted(imported):
            yield f"  {_identifier(room)} --> {_identifier(each)}"


def _identifier(room: str) -> str:
    return room.replace(".", "-")


def _folder(module: str) -> Path:
    """Where the package lies, or the module would if it were one."""
    package, *inner = module.split(".")
    (source,) = [source for source in SOURCES if (source / package).is_dir()]
    return source.joinpath(package, *inner)


def page(text: str) -> str:
    """The page's `text` with the pictures as they are now. Raises CycleError if rooms import each other in a circle."""
    known = pictures()
    return MARKED.sub(lambda found: f"{found['begin']}{drawn(known[found['house']])}{found['end']}", text)


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or only check it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the page is out of date")
    is_check = parser.parse_args(arguments).check
    sys.path[:0] = map(str, SOURCES)
    old = PAGE.read_text(encoding="utf-8")
    try:
        new = page(old)
    except CycleError as error:
        return _failed(f"These import each other in a circle: {', '.join(error.args[1])}. Run: lint-imports")
    if is_check:
        return 0 if new == old else _failed("docs/architecture.md does not show what the imports say. Run: make map")
    PAGE.write_text(new, encoding="utf-8")
    print(f"Wrote {PAGE.relative_to(TEMPLATE)}.")
    return 0


def _failed(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
