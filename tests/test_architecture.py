"""What holds for all modules of src/twelvefold together."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import twelvefold

MODULES = sorted(Path(twelvefold.__file__).parent.rglob("*.py"))


def test_each_class_has_a_name_of_its_own() -> None:
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in MODULES]
    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    assert len(names) > 100
    assert [name for name, count in names.items() if count > 1] == []
