import asyncio
import io
import sys

import pytest

from auth.issuing.people import PASSWORD, Company, on_sqlite
from chassis.cli import main
from chassis_auth.issuing.users import User


def run(company: Company, *arguments: str, stdin: str = "") -> int:
    before, sys.stdin = sys.stdin, io.StringIO(stdin)
    try:
        return main(Company().service(), ["auth", "user", *arguments])
    finally:
        sys.stdin = before


def user(company: Company, name: str) -> User:
    async def read() -> User:
        async with company.opened():
            return await company.user(name)

    return asyncio.run(read())


def test_a_user_from_the_first_to_the_last_day(company: Company, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(company, "add", "Ada", "--scope", "read", "--scope", "write read", stdin=f"{PASSWORD}\n") == 0
    added = user(company, "ada")
    assert added.scopes == {"read", "write"}
    assert not added.disabled
    assert added.id in capsys.readouterr().out
    assert run(company, "password", "ada", stdin="another fine password\r\n") == 0
    assert user(company, "ada").password != added.password
    assert run(company, "scopes", "ada", "--scope", "read") == 0
    assert user(company, "ada").scopes == {"read"}
    assert run(company, "disable", "ada") == 0
    assert user(company, "ada").disabled
    assert run(company, "enable", "ada") == 0
    capsys.readouterr()
    assert run(company, "list") == 0
    assert capsys.readouterr().out == f"ada  {added.id}  enabled  read\n"


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "stdin", "told"),
    [
        (["add", "ada"], f"{PASSWORD}\n", "There is a user ada already. See: auth user list"),
        (["add", "eve"], "short\n", "12 to 256 characters"),
        (["add", "eve"], "", "12 to 256 characters"),
        (["add", "a b"], f"{PASSWORD}\n", "no space in it"),
        (["add", ""], f"{PASSWORD}\n", "1 to 200 characters"),
        (["add", "x" * 201], f"{PASSWORD}\n", "1 to 200 characters"),
        (["add", "eve", "--scope", 'a"b'], f"{PASSWORD}\n", "is no scope"),
        (["scopes", "ada", "--scope", "ä"], "", "is no scope"),
        (["password", "nobody"], f"{PASSWORD}\n", "There is no user nobody. See: auth user list"),
        (["disable", "nobody"], "", "There is no user nobody"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    company: Company, capsys: pytest.CaptureFixture[str], arguments: list[str], stdin: str, told: str
) -> None:
    company.hire_now("ada", "read")
    assert run(company, *arguments, stdin=stdin) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.startswith("Error: ")
    assert error.count("\n") == 1


def test_a_database_without_tables_is_told_of(
    company: Company, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(company.service(), ["db", "downgrade", "auth@base"]) == 0
    capsys.readouterr()
    assert run(company, "list") == 1
    assert "db upgrade" in capsys.readouterr().err


@on_sqlite
def test_a_database_that_is_away_is_told_of(
    company: Company, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_DATABASE_URL", "postgresql://postgres@127.0.0.1:1/test")
    capsys.readouterr()
    assert run(company, "list") == 1
    assert "cannot be used now" in capsys.readouterr().err
