"""What ends a command: one sentence that says what to type instead, and the exit code."""

from __future__ import annotations

import click

from twelvefold.console import ExitCode


class RefusedError(click.ClickException):
    """Bad input, or a state that needs a person; nothing was changed. Exit code 2."""

    exit_code = ExitCode.PERSON


class FailedError(click.ClickException):
    """Something outside failed: git, the network, the disk. Exit code 3."""

    exit_code = ExitCode.FAILED


class InterruptedByUser(click.ClickException):
    """Somebody pressed Ctrl-C. Exit code 130."""

    exit_code = ExitCode.INTERRUPTED
