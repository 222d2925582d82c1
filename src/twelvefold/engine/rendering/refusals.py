"""How the render loop says that it cannot use a template."""

from __future__ import annotations

from twelvefold.errors import RefusedError


def unusable(reason: str) -> RefusedError:
    """The error for a template that cannot be rendered; `reason` becomes one line."""
    return RefusedError(f"The template cannot be rendered: {' '.join(reason.split())}")
