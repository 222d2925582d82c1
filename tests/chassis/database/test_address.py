import pytest

from chassis_database.address import Address, address

DSN = "postgresql://me:secret@db.internal:6432/shop"


def test_a_file_of_sqlite() -> None:
    assert address("sqlite:///data/service.db") == Address("sqlite", "data/service.db", name="service")
    assert address("sqlite+aiosqlite:////var/lib/a%20b.db").url == "/var/lib/a b.db"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_postgresql_by_any_of_its_names(scheme: str) -> None:
    found = address(DSN.replace("postgresql", scheme))
    assert found == Address("postgresql", DSN, "db.internal", 6432, "shop")


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("?sslmode=require", "?sslmode=require"),
        ("?ssl=true", "?sslmode=require"),
        ("?ssl=verify-full", "?sslmode=verify-full"),
        ("?sslmode=require&channel_binding=require&connect_timeout=5", "?sslmode=require"),
        ("?application_name=shop&search_path=a", "?application_name=shop&search_path=a"),
    ],
)
def test_what_stands_behind_the_question_mark(given: str, taken: str) -> None:
    assert address(DSN + given).url == DSN + taken


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///shop",
        "postgresql://me@[::1]:5432/shop",
        "postgresql://a:5432,b:5433/shop?target_session_attrs=read-write",
        "postgresql:///shop?host=/run/postgresql",
        "postgresql://me:p%40ss@db/shop",
    ],
)
def test_what_libpq_takes_too(url: str) -> None:
    assert address(url).system == "postgresql"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", r"should be sqlite:///data/service\.db or postgresql://"),
        ("mysql://me@db/shop", "should be"),
        ("data/service.db", "should be"),
        ("postgresql://[::1/shop", "should be"),
        ("sqlite://data/service.db", "three slashes"),
        ("sqlite://", "outlive the process"),
        ("sqlite:///:memory:", "outlive the process"),
        ("sqlite:///data/", "a file, not a folder"),
        ("sqlite:///a.db?mode=ro", "nothing behind the path"),
        ("postgresql://me:s/ecret@db/shop", "/ as %2F"),
        ("postgresql://me:s#ecret@db/shop", "# as %23"),
        ("postgresql://db:port/shop", "should be"),
        ("postgresql://a:5432,b:port/shop", "should be"),
        ("postgresql://db/shop?sslmode=always", "verify-full"),
    ],
)
def test_says_what_was_expected_and_nothing_of_the_url(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        address(url)
    assert "ecret" not in str(raised.value)
