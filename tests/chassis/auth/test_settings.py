from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from auth.forging import ec_key, private_pem, public_pem, rsa_key
from chassis import Service
from chassis.settings import SettingsError, load
from chassis_auth import Auth
from chassis_auth.settings import EVERYBODY_KNOWS, AuthSettings

GOOD = "3f0c2f0b6d5e4a7c9b1d8e6f4a2c0b9d"


def problems(monkeypatch: pytest.MonkeyPatch, **environ: str) -> str:
    """What is wrong with the settings of a service with the capability; nothing if it could start."""
    for name, value in environ.items():
        monkeypatch.setenv(f"APP_{name}", value)
    try:
        load(Service(package="under_test", parts={"auth": Auth()}).settings)
    except SettingsError as error:
        return "\n".join(error.problems)
    return ""


def test_everything_has_a_default() -> None:
    assert AuthSettings().auth_issuer == ""


@pytest.mark.parametrize("environment", ["development", "test"])
def test_on_a_persons_machine_nothing_need_be_set(
    config: Path, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    assert problems(monkeypatch, ENVIRONMENT=environment) == ""


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_elsewhere_a_key_must_be_set(config: Path, monkeypatch: pytest.MonkeyPatch, environment: str) -> None:
    assert "APP_AUTH_PUBLIC_KEY_FILE" in problems(monkeypatch, ENVIRONMENT=environment)
    known = problems(monkeypatch, ENVIRONMENT=environment, AUTH_SECRET=EVERYBODY_KNOWS)
    assert "stands in the source" in known
    assert EVERYBODY_KNOWS not in known
    assert "placeholder" in problems(monkeypatch, ENVIRONMENT=environment, AUTH_SECRET="x" * 40)
    assert problems(monkeypatch, ENVIRONMENT=environment, AUTH_SECRET=GOOD) == ""
    known = problems(monkeypatch, ENVIRONMENT=environment, AUTH_SECRET=GOOD, AUTH_PREVIOUS_SECRET=EVERYBODY_KNOWS)
    assert "auth_previous_secret is the one that stands in the source" in known


@pytest.mark.parametrize("name", ["AUTH_SECRET", "AUTH_PRIVATE_KEY", "AUTH_PUBLIC_KEY", "AUTH_JWKS_URL"])
def test_an_empty_one_is_none(config: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert problems(monkeypatch, **{name: ""}) == ""
    assert "APP_AUTH_PUBLIC_KEY_FILE" in problems(monkeypatch, ENVIRONMENT="production", **{name: ""})


def test_a_key_may_be_a_file(config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(public_pem(rsa_key()))
    assert problems(monkeypatch, ENVIRONMENT="production", AUTH_PUBLIC_KEY_FILE=str(tmp_path / "key.pem")) == ""


def _encrypted() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")).decode()


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"AUTH_SECRET": "short"}, "at least 32 bytes"),
        ({"AUTH_SECRET": public_pem(rsa_key())}, "APP_AUTH_PUBLIC_KEY takes"),
        ({"AUTH_PREVIOUS_SECRET": GOOD}, "auth_secret is not"),
        ({"AUTH_SECRET": GOOD, "AUTH_JWKS_URL": "https://i.example/jwks"}, "in one way"),
        ({"AUTH_SECRET": GOOD, "AUTH_PUBLIC_KEY": public_pem(rsa_key())}, "in one way"),
        ({"AUTH_PUBLIC_KEY": public_pem(rsa_key()), "AUTH_JWKS_URL": "https://i.example/jwks"}, "in one way"),
        ({"AUTH_PUBLIC_KEY": "ssh-rsa AAAA"}, "BEGIN PUBLIC KEY"),
        ({"AUTH_PUBLIC_KEY": private_pem(rsa_key())}, "-pubout"),
        ({"AUTH_PUBLIC_KEY": public_pem(rsa_key()).replace("M", "N")}, "cannot be read"),
        ({"AUTH_PUBLIC_KEY": public_pem(rsa.generate_private_key(65537, 1024))}, "1024 bits"),  # noqa: S505
        ({"AUTH_PUBLIC_KEY": public_pem(ec.generate_private_key(ec.SECP384R1()))}, "P-256"),
        ({"AUTH_PRIVATE_KEY": public_pem(rsa_key())}, "without a passphrase"),
        ({"AUTH_PRIVATE_KEY": _encrypted()}, "without a passphrase"),
        ({"AUTH_JWKS_URL": "file:///etc/passwd"}, "https://issuer.example"),
        ({"AUTH_JWKS_URL": "issuer.example"}, "https://issuer.example"),
        ({"AUTH_ALGORITHMS": "none"}, "'HS256'"),
        ({"AUTH_ALGORITHMS": "RS256"}, "does not go with a secret"),
        ({"AUTH_ALGORITHMS": "RS256,HS256", "AUTH_PUBLIC_KEY": public_pem(ec_key())}, "does not go with public keys"),
        ({"AUTH_LEEWAY_SECONDS": "3600"}, "300"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_and_no_secret_is(
    config: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], told: str
) -> None:
    said = problems(monkeypatch, **environ)
    assert told in said
    assert GOOD not in said
    assert not any(line in said for value in environ.values() for line in value.splitlines() if len(line) > 60)


def test_settings_and_errors_do_not_show_the_keys(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_AUTH_SECRET", GOOD)
    settings: Any = load(Service(package="under_test", parts={"auth": Auth()}).settings)
    assert GOOD not in repr(settings)
