import pytest

from chassis_tasks import Tasks


@pytest.fixture
def part() -> Tasks:
    return Tasks()
