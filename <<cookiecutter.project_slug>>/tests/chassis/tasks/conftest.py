import pytest

from chassis.tasks import Tasks


@pytest.fixture
def part() -> Tasks:
    return Tasks()
