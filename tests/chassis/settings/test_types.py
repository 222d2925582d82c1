import pytest

from chassis.settings.types import SECRET_NAME, masked
from chassis.telemetry.redaction import NAMED_SECRET

SECRETS = [
    "password",
    "db_passwd",
    "pass",
    "smtp_pass",
    "passphrase",
    "client_secret",
    "secret_key",
    "access_key",
    "api-key",
    "apikey",
    "private_key",
    "refresh_token",
    "tokens",
    "credentials",
    "authorization",
    "session_cookie",
]


@pytest.mark.parametrize("name", SECRETS)
def test_what_the_log_masks_by_its_name_the_settings_do(name: str) -> None:
    assert SECRET_NAME.search(name)
    assert NAMED_SECRET.search(name)


@pytest.mark.parametrize("name", ["token_url", "secret_name", "secrets_folder", "password_hash", "dbpassword"])
def test_the_settings_mask_more_than_the_log(name: str) -> None:
    assert SECRET_NAME.search(name)


@pytest.mark.parametrize(
    "name", ["compass", "passengers", "pass_through", "cookie_domain", "authorization_url", "key", "monkey", "keyboard"]
)
def test_a_name_that_tells_of_no_secret(name: str) -> None:
    assert not SECRET_NAME.search(name)
    assert not NAMED_SECRET.search(name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://me:hunter2@h/0", "redis://me:***@h/0"),
        ("redis://:hunter2@h", "redis://:***@h"),
        ("postgresql://me:a/b@c@h/db", "postgresql://me:***@h/db"),
        ("https://h/?access_key=abc&page=2", "https://h/?access_key=***&page=2"),
        ("https://h/?x=1&private-key=abc;y=2", "https://h/?x=1&private-key=***"),
        ("https://h/?x-api-key-id=abc", "https://h/?x-api-key-id=***"),
        ("https://h/?monkey=abc", "https://h/?monkey=abc"),
    ],
)
def test_what_is_masked_in_a_text(text: str, expected: str) -> None:
    assert masked(text) == expected
