"""A Python prompt inside the service."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from typing import Any


def run(names: dict[str, Any]) -> None:
    """Open a prompt that knows `names`, IPython's where it is installed; run stdin if that is no terminal."""
    if not sys.stdin.isatty():
        exec(compile(sys.stdin.read(), "<stdin>", "exec"), {"__name__": "__main__", **names})  # noqa: S102 - as python does
    elif find_spec("IPython"):
        importlib.import_module("IPython").start_ipython(argv=[], user_ns=names)
    else:
        import code

        importlib.import_module("readline" if find_spec("readline") else "code")  # history and editing
        code.interact(banner=f"Python {sys.version.split()[0]}; here are: {', '.join(names)}", local=names, exitmsg="")
