from typing import Any

import pytest
from pydantic import ValidationError

from chassis_tasks.settings import TasksSettings


def test_everything_has_a_default() -> None:
    assert TasksSettings().broker_url == "memory://"


@pytest.mark.parametrize("url", ["redis://h:6379/1", "rediss://h", "amqp://u:p@h/v", "nats://h:4222", "memory://"])
def test_brokers_that_there_are(url: str) -> None:
    assert TasksSettings(broker_url=url).broker_url == url


@pytest.mark.parametrize(
    "wrong",
    [
        {"broker_url": "kafka://h"},
        {"broker_url": "redis"},
        {"broker_url": ""},
        {"tasks_store_url": "amqp://h"},
        {"tasks_queue": "no spaces"},
        {"tasks_concurrency": 0},
        {"tasks_keep_seconds": 0},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TasksSettings(**wrong)
