"""What ends a command: one sentence that says what to type instead, and the exit code."""

from __future__ import annotations

import click


class RefusedError(click.ClickException):
    """Bad input, or a state that needs a person; nothing was changed. Exit code 2."""

    exit_code = 2


class FailedError(click.ClickException):
    """Something outside failed: git, the network, the disk. Exit code 3."""

    exit_code = 3
