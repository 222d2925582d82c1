import time

import jwt
import pytest

from auth.forging import ec_key, ed_key, private_pem, public_pem, rsa_key
from chassis import Service
from chassis.cli import main
from chassis_auth import Auth
from chassis_auth.settings import EVERYBODY_KNOWS

GOOD = "3f0c2f0b6d5e4a7c9b1d8e6f4a2c0b9d"


pytestmark = pytest.mark.usefixtures("config")


def run(*arguments: str) -> int:
    return main(Service(package="under_test", parts={"auth": Auth()}), ["auth", "token", *arguments])


def token(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run("--subject", "ada", *arguments) == 0
    return capsys.readouterr().out.strip()


def test_in_development_it_needs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    made = token(capsys, "--scope", "a", "--scope", "b c")
    told = jwt.decode(made, EVERYBODY_KNOWS, algorithms=["HS256"], audience="under-test", issuer="under-test")
    assert (told["sub"], told["scope"]) == ("ada", "a b c")
    assert 890 <= told["exp"] - time.time() <= 900


@pytest.mark.parametrize(("length", "seconds"), [("90s", 90), ("5m", 300), ("12h", 43_200), ("30d", 2_592_000)])
def test_how_long_it_lasts(capsys: pytest.CaptureFixture[str], length: str, seconds: int) -> None:
    told = jwt.decode(token(capsys, "--expires", length), options={"verify_signature": False})
    assert told["exp"] - told["iat"] == seconds


@pytest.mark.parametrize("make", [rsa_key, ec_key, ed_key])
def test_a_private_key_signs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, make: object) -> None:
    key = make()  # type: ignore[operator]
    monkeypatch.setenv("APP_AUTH_PRIVATE_KEY", private_pem(key))
    made = token(capsys)
    algorithm = jwt.get_unverified_header(made)["alg"]
    assert jwt.decode(made, key.public_key(), algorithms=[algorithm], audience="under-test")["sub"] == "ada"


def test_in_production_a_key_of_its_own_signs_and_a_warning_is_given(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENVIRONMENT", "production")
    assert run("--subject", "ada") == 2
    assert "no key to verify tokens with" in capsys.readouterr().err
    monkeypatch.setenv("APP_AUTH_SECRET", GOOD)
    assert run("--subject", "ada") == 0
    printed = capsys.readouterr()
    assert jwt.decode(printed.out.strip(), GOOD, algorithms=["HS256"], audience="under-test")["sub"] == "ada"
    assert "good in production" in printed.err


@pytest.mark.parametrize(
    ("environ", "arguments", "told"),
    [
        ({"AUTH_PUBLIC_KEY": public_pem(rsa_key())}, ["--subject", "ada"], "cannot sign any"),
        ({"AUTH_JWKS_URL": "https://i.example/jwks"}, ["--subject", "ada"], "cannot sign any"),
        (
            {"AUTH_PRIVATE_KEY": private_pem(rsa_key()), "AUTH_ALGORITHMS": "ES256"},
            ["--subject", "ada"],
            "has none that auth_private_key can sign with",
        ),
        ({}, [], "Missing option '--subject'"),
        ({}, ["--subject", ""], "The subject has 1 to 255 characters"),
        ({}, ["--subject", "x" * 256], "The subject has 1 to 255 characters"),
        ({}, ["--subject", "ada\n"], "a character that cannot be written"),
        *(
            ({}, ["--subject", "ada", "--expires", wrong], "no length of time such as 90s, 15m, 12h, 30d")
            for wrong in ("", "15", "m", "-5m", "1.5h", "0s", "5 m", "1y", "9999999d", "\u0665m")
        ),
    ],
    ids=lambda value: "",
)
def test_what_cannot_be_is_told_in_a_sentence(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    arguments: list[str],
    told: str,
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(f"APP_{name}", value)
    assert run(*arguments) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert printed.out == ""
    assert printed.err.count("\n") == 1
