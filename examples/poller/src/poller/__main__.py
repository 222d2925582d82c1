"""The composition root: builds the parts of the service and hands them to the chassis."""

from chassis import Service
from chassis_auth import caller_or_address

from . import api, page
from .fetch import fetcher
from .settings import Settings

service = Service(
    package=__package__,
    settings=Settings,
    routers=[api.router, page.router],
    resources={"fetcher": fetcher},
    rate_limit_key=caller_or_address,
)

if __name__ == "__main__":
    service.main()
