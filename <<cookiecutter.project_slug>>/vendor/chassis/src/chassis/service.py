"""The service: what a team's composition root makes."""

import sys

from .application import Application
from .cli import main


class Service(Application):
    """A service, built in the team's composition root.

    :param package: the name of the team's package (``__package__``).
    :param settings: the team's settings class.
    :param routers: the team's endpoints.
    :param resources: opened in this order at start and closed in reverse; each is ``request.state.<name>``.
    :param checks: what must work for the service to be ready, by name; each is given what ``request.state`` holds.
    :param collectors: the team's own collectors for Prometheus. Plain counters and the like need none of this.
    :param rate_limit_key: whom a request counts for, given its ASGI scope: by default its address; None for nobody.
    :param commands: the team's one-off commands, run with the settings and the logging of the service: click's, with
        the settings by ``@click.pass_obj``; the function may be asynchronous.
    :param parts: the optional parts by name; by default those that are installed, each from the module of its name in
        the team's package.

    Handlers start work that outlives the response with ``request.state.background.spawn(...)``.
    """

    def main(self) -> None:
        """Run the command line and exit."""
        sys.exit(main(self))
