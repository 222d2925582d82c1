from __future__ import annotations

import pytest
import yaml

from twelvefold import safe_yaml


def test_data_is_read_and_nothing_is_executed() -> None:
    assert safe_yaml.load("a: [1, x]") == {"a": [1, "x"]}
    for text in ("!!python/object/apply:os.getcwd []", "a: ["):
        with pytest.raises(yaml.YAMLError):
            safe_yaml.load(text)
