from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext

import pytest

from chassis import Resource, Service, Settings
from chassis.part import Part
from chassis.serving import _longest_end


def opened(settings: Settings) -> AbstractAsyncContextManager[object]:
    return nullcontext()


class Store(Part):
    def resources(self) -> Mapping[str, Resource]:
        return {"store": opened, "index": opened}


@pytest.mark.parametrize(
    ("service", "resources"),
    [
        (Service(package="under_test", parts={}), 0),
        (Service(package="under_test", parts={}, resources={"pool": opened}), 1),
        (Service(package="under_test", parts={"store": Store()}, resources={"pool": opened}), 3),
    ],
)
def test_workers_are_not_killed_while_something_has_time_to_close(service: Service, resources: int) -> None:
    settings = Settings(
        name="under-test", drain_seconds=1, shutdown_seconds=20, background_seconds=300, resource_seconds=4000
    )
    assert _longest_end(service, settings) > 321 + 4000 * resources
