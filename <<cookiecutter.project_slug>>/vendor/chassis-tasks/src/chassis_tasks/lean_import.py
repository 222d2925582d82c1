"""Imports taskiq without aiohttp, which costs four times as much as all the rest of it.

taskiq imports every middleware of its own, and one of them, for an admin page that the chassis has no use for, imports
aiohttp. While it does, something light stands in for that; later the middleware finds the real one when it is used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

HEAVY = "aiohttp"
ITS_USER = "taskiq.middlewares.taskiq_admin_middleware"


class _Later(ModuleType):
    """A module that is imported when something of it is used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(HEAVY), name)


class _StandIn(ModuleType):
    """A module of which only annotations speak."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Any


def import_taskiq() -> None:
    """Import taskiq, if nobody has yet."""
    if "taskiq" in sys.modules or HEAVY in sys.modules:
        return
    sys.modules[HEAVY] = _StandIn(HEAVY)
    try:
        import_module("taskiq")
    finally:
        del sys.modules[HEAVY]
    if user := sys.modules.get(ITS_USER):
        vars(user)[HEAVY] = _Later(HEAVY)


import_taskiq()
