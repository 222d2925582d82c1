import subprocess
import sys

import pydantic
import pytest

from chassis import Settings


class Own(Settings):
    """A team's."""

    greeting: str = "Hello"


def test_what_is_no_setting_is_refused() -> None:
    with pytest.raises(pydantic.ValidationError, match="greetings"):
        Own(name="shop", greetings="Hi")  # type: ignore[call-arg]


def test_what_is_set_cannot_be_changed() -> None:
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        Own(name="shop").greeting = "Hi"  # type: ignore[misc]


def test_the_classes_below_the_one_that_is_read_are_never_built() -> None:
    """A start would pay for each of them."""
    script = (
        "import chassis\n"
        "class Own(chassis.Settings): greeting: str = 'Hello'\n"
        "Own(name='shop')\n"
        "print(chassis.Settings.__pydantic_complete__, Own.__pydantic_complete__)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"
