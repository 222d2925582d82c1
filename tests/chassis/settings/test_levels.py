import pytest

from chassis.settings.levels import split_levels


@pytest.mark.parametrize(
    ("log_level", "root", "loggers"),
    [
        ("info", "info", {}),
        ("WARNING", "warning", {}),
        ("", "info", {}),
        ("info,sqlalchemy.engine=debug", "info", {"sqlalchemy.engine": "debug"}),
        (" shop=ERROR , debug ,", "debug", {"shop": "error"}),
    ],
)
def test_one_level_and_those_of_loggers(log_level: str, root: str, loggers: dict[str, str]) -> None:
    assert split_levels(log_level) == (root, loggers)


@pytest.mark.parametrize("log_level", ["loud", "info,shop=loud", "shop="])
def test_a_level_that_is_none_is_refused_with_those_that_are(log_level: str) -> None:
    with pytest.raises(ValueError, match="use debug, info, warning, error, critical"):
        split_levels(log_level)
