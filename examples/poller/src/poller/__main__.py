"""The composition root: hands the chassis what this service is made of.

Parts are not named here: the chassis finds each by the name of its file, such as `database` in database.py.
"""

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
