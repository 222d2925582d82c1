"""Write docs/twelve-factor.md: each factor, what a service promises of it, and the tests that try to break that.

All of it is read from tests/twelve_factor/: a promise without a test cannot be written down.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
TESTS = TEMPLATE / "tests" / "twelve_factor"
PAGE = TEMPLATE / "docs" / "twelve-factor.md"
DOCSTRING = re.compile(r"(?P<factor>[IVX]+\. [^:]+): (?P<promise>.+\.)")

HEAD = """\
# The twelve factors, executed

A service is rendered, started, asked, signalled and killed from outside; what is promised here is what these tests try
to break. `make test ARGS=tests/twelve_factor` runs them, `make factors` writes this page from them.

| factor | promise | evidence |
| --- | --- | --- |
"""


def page() -> str:
    """The text of the page. Raises ValueError if a test module does not begin with its factor and the promise."""
    return HEAD + "".join(map(_row, sorted(TESTS.glob("test_*.py"))))


def _row(file: Path) -> str:
    module = ast.parse(file.read_text(encoding="utf-8"))
    said = DOCSTRING.fullmatch(" ".join((ast.get_docstring(module) or "").split()))
    if said is None:
        raise ValueError(f'{file.name} does not begin with """N. Factor: promise."""')
    promise = said["promise"][0].upper() + said["promise"][1:]
    evidence = ", ".join(_evidence(each) for each in (file, *_also(module)))
    return f"| {said['factor']} | {promise} | {evidence} |\n"


def _evidence(file: Path) -> str:
    """A link to a test module, and what its tests say."""
    names = _tests(ast.parse(file.read_text(encoding="utf-8")))
    link = f"[{file.stem.removeprefix('test_')}](../{file.relative_to(TEMPLATE)})"
    return f"{link}: " + "; ".join(name.removeprefix("test_").replace("_", " ") for name in names)


def _also(module: ast.Module) -> list[Path]:
    """The modules elsewhere that try to break the same promise: `ALSO = ("path/from/the/template.py",)`."""
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ALSO":
            return [TEMPLATE / path for path in ast.literal_eval(node.value)]
    return []


def _tests(module: ast.Module) -> list[str]:
    functions = (node for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [function.name for function in functions if function.name.startswith("test_")]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Wrote {PAGE.relative_to(TEMPLATE)}.")
