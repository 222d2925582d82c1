"""The composition root: hands the chassis what this service is made of.

Parts are not named here: the chassis finds each by the name of its file, such as `database` in database.py.
"""

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
