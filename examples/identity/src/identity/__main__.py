"""The composition root: builds the parts of the service and hands them to the chassis."""

from chassis import Service

from .api import router
from .commands import user
from .issuer import issuing
from .settings import Settings

service = Service(
    package=__package__,
    settings=Settings,
    routers=[router],
    resources={"issuer": issuing},
    commands=[user],
)

if __name__ == "__main__":
    service.main()
