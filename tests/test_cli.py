from __future__ import annotations

from dataclasses import fields
from importlib.metadata import version
from typing import Any, get_type_hints

import click
import pytest
from click.testing import CliRunner
from pydantic import TypeAdapter

from histories import twelvefold
from twelvefold.cli import Failure, main
from twelvefold.errors import FailedError, RefusedError
from twelvefold.fleet.options import (
    FleetReportOptions,
    FleetRollupOptions,
    FleetRunOptions,
    FleetStatusOptions,
    ProposeOptions,
)
from twelvefold.options import AdoptOptions, RollupOptions, StatusOptions


def parsed(command: str, *arguments: str) -> dict[str, Any]:
    """What the command is called with if somebody types that after it."""
    found = main.commands[command]
    return found.make_context(command, list(arguments)).params


def test_answers_are_split_at_the_first_equals_sign() -> None:
    given = ("ci=github", " owner =a = b", "description=", "ci=gitlab")
    arguments = [one for answer in given for one in ("--answer", answer)]
    assert parsed("rollup", *arguments)["answers"] == {"ci": "gitlab", "owner": "a = b", "description": ""}


def test_an_answer_without_one_is_refused_with_what_to_type() -> None:
    with pytest.raises(RefusedError, match="such as ci=github; it was given 'ci'"):
        parsed("rollup", "--answer", "ci")


OPTIONS = {
    "rollup": RollupOptions,
    "adopt": AdoptOptions,
    "status": StatusOptions,
    "propose": ProposeOptions,
    "fleet rollup": FleetRollupOptions,
    "fleet run": FleetRunOptions,
    "fleet status": FleetStatusOptions,
    "fleet report": FleetReportOptions,
}


def commands() -> dict[str, click.Command]:
    """Each command by the words that are typed for it."""
    fleet = main.commands["fleet"]
    assert isinstance(fleet, click.Group)
    alone = {name: command for name, command in main.commands.items() if command is not fleet}
    return alone | {f"fleet {name}": command for name, command in fleet.commands.items()}


def test_each_command_has_options_but_the_one_with_a_single_argument() -> None:
    assert set(commands()) == {*OPTIONS, "trust"}


@pytest.mark.parametrize(("name", "options"), OPTIONS.items(), ids=str)
def test_the_options_of_a_command_are_what_can_be_typed(name: str, options: type[Any]) -> None:
    assert {field.name for field in fields(options)} == {one.name for one in commands()[name].params}


TYPED = {"answers": "ci=github", "jobs": "2", "max_failures": "0.5", "timeout": "5", "forge": "gitlab"}


def typed(one: click.Parameter) -> list[str]:
    """Something to type for an option or argument."""
    example = TYPED.get(str(one.name), "x")
    if isinstance(one, click.Option):
        return [one.opts[0]] if one.is_flag else [one.opts[0], example]
    return [example]


@pytest.mark.parametrize("is_everything", [True, False])
@pytest.mark.parametrize(("name", "options"), OPTIONS.items(), ids=str)
def test_what_is_typed_is_of_the_type_that_its_field_says(name: str, options: type[Any], is_everything: bool) -> None:
    command = commands()[name]
    words = [word for one in command.params if is_everything or one.required for word in typed(one)]
    given = options(**command.make_context(name, words).params)
    for field, hint in get_type_hints(options).items():
        TypeAdapter(hint).validate_python(getattr(given, field), strict=True)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RefusedError("Not so."), 2, "Error: Not so.\n"),
        (FailedError("No disk."), 3, "Error: No disk.\n"),
        (OSError(28, "No space left on device", "/a/file"), 3, "Error: /a/file: No space left on device\n"),
        (OSError(5, "Input/output error"), 3, "Error: Input/output error\n"),
        (KeyboardInterrupt(), 130, "Error: Interrupted. If files were being changed, the next command finishes that"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_whatever_ends_a_command_is_a_sentence_and_an_exit_code(error: BaseException, code: int, said: str) -> None:
    @click.group(cls=Failure)
    def group() -> None: ...

    @group.command()
    def fail() -> None:
        raise error

    done = CliRunner().invoke(group, ["fail"])
    assert done.exit_code == code
    assert done.output.startswith(said)
    assert "Traceback" not in done.output


def test_a_mistake_of_ours_is_not_made_to_look_like_the_user_s() -> None:
    @click.group(cls=Failure)
    def group() -> None: ...

    @group.command()
    def fail() -> None:
        raise AssertionError("ours")

    with pytest.raises(AssertionError):
        CliRunner().invoke(group, ["fail"], catch_exceptions=False)


def test_the_version_is_the_package_s() -> None:
    assert twelvefold("--version").output.strip().endswith(version("twelvefold"))


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_option_is_explained(command: str) -> None:
    options = [one for one in main.commands[command].params if isinstance(one, click.Option)]
    assert [one.name for one in options if not one.help] == []
    assert main.commands[command].help
