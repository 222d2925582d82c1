import io
import sys

import pytest

from chassis.cli import main

from identity.__main__ import service
from identity.users import User

from . import people
from .people import PASSWORD, hire_now, run_now

pytestmark = pytest.mark.usefixtures("tables")


def run(*arguments: str, stdin: str = "") -> int:
    before, sys.stdin = sys.stdin, io.StringIO(stdin)
    try:
        return main(service, ["user", *arguments])
    finally:
        sys.stdin = before


def user(name: str) -> User:
    return run_now(people.user(name))


def test_a_user_from_the_first_to_the_last_day(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("add", "Ada", "--scope", "read", "--scope", "write read", stdin=f"{PASSWORD}\n") == 0
    added = user("ada")
    assert added.scopes == {"read", "write"}
    assert not added.disabled
    assert added.id in capsys.readouterr().out
    assert run("password", "ada", stdin="another fine password\r\n") == 0
    assert user("ada").password != added.password
    assert run("scopes", "ada", "--scope", "read") == 0
    assert user("ada").scopes == {"read"}
    assert run("disable", "ada") == 0
    assert user("ada").disabled
    assert run("enable", "ada") == 0
    capsys.readouterr()
    assert run("list") == 0
    assert capsys.readouterr().out == f"ada  {added.id}  enabled  read\n"


@pytest.mark.parametrize(
    ("arguments", "stdin", "told"),
    [
        (["add", "ada"], f"{PASSWORD}\n", "There is a user ada already. See: user list"),
        (["add", "eve"], "short\n", "12 to 256 characters"),
        (["add", "eve"], "", "12 to 256 characters"),
        (["add", "a b"], f"{PASSWORD}\n", "no space in it"),
        (["add", ""], f"{PASSWORD}\n", "1 to 200 characters"),
        (["add", "x" * 201], f"{PASSWORD}\n", "1 to 200 characters"),
        (["add", "eve", "--scope", 'a"b'], f"{PASSWORD}\n", "is no scope"),
        (["scopes", "ada", "--scope", "ä"], "", "is no scope"),
        (["password", "nobody"], f"{PASSWORD}\n", "There is no user nobody. See: user list"),
        (["disable", "nobody"], "", "There is no user nobody"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], stdin: str, told: str
) -> None:
    hire_now("ada", "read")
    assert run(*arguments, stdin=stdin) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.startswith("Error: ")
    assert error.count("\n") == 1


def test_a_database_without_tables_is_told_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(service, ["db", "downgrade", "base"]) == 0
    capsys.readouterr()
    assert run("list") == 1
    assert "db upgrade" in capsys.readouterr().err
    assert main(service, ["db", "upgrade"]) == 0


def test_a_database_that_is_away_is_told_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    with monkeypatch.context() as away:
        away.setenv("DATABASE_URL", "postgresql://postgres@127.0.0.1:1/test")
        assert run("list") == 1
    assert "cannot be used now" in capsys.readouterr().err
