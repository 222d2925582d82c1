"""Merge strategies that scaraplate.yaml names; see https://scaraplate.readthedocs.io/en/stable/strategies.html."""

from __future__ import annotations

from scaraplate.strategies import IfMissing


class Merged(IfMissing):
    """A file that the template and the team share.

    This version writes it once and then leaves it to the team, like a seed. What sets it apart is that the
    render keeps a copy under ``.twelvefold/applied/``: the base from which a later version merges.
    """
