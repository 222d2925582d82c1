from chassis.cli import main

from poller.__main__ import service


def test_the_migrations_make_the_tables_that_the_code_has(tables: None) -> None:
    assert main(service, ["db", "check"]) == 0
    assert main(service, ["db", "downgrade", "base"]) == 0
