"""The chassis is checked where it lies, before any rendering."""

from commands import succeed
from environments import TEMPLATE


def test_the_chassis_lints_type_checks_and_passes_its_tests_in_place(python: object) -> None:
    assert " passed" in succeed("make", "chassis", cwd=TEMPLATE)
