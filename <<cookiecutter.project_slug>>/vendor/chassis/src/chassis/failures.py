"""Why a service does not start, or did not end well."""


class StartError(Exception):
    """The service cannot start, for a reason that one sentence tells."""


class CloseError(Exception):
    """Something did not close as it should have. It was logged, and the rest was closed."""
