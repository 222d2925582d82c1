"""The chassis is checked where it lies, before any rendering."""

import pytest

from commands import succeed
from environments import TEMPLATE


@pytest.mark.parametrize("lane", ["not slow", pytest.param("slow", marks=pytest.mark.slow)])
def test_the_chassis_type_checks_and_passes_its_tests_in_place(lane: str, python: object) -> None:
    assert " passed" in succeed("make", "chassis", f"LANE={lane}", cwd=TEMPLATE)
