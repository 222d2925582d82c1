"""Show the main job: render a service with the default answers, start it, ask it, keep it running until Ctrl-C.

Run by `make run`.
"""

from __future__ import annotations

import json
import signal
import sys
import time
import urllib.request

from rendered import TEMPLATE
from serving import follow, install, own_interrupts, render_anew, started, step, wait_for_address

SCRATCH = TEMPLATE / ".cache" / "run"
WHAT_TO_SEE = """
  the greeting     {address}/api/v1/greeting?name=Ada
  the API docs     {address}/docs
  the metrics      {address}/metrics
  the probes       {address}/livez  /startupz  /readyz
  the code         {service}
  your own         cookiecutter {template}

Its log follows; Ctrl-C ends it.
"""


def main() -> int:
    """Return 0 if it was stopped while it served, 130 if it was stopped before, 3 if the service failed."""
    with own_interrupts():
        try:
            code = serve()
        except KeyboardInterrupt:
            code = 128 + signal.SIGINT
    step("Stopped.")
    return code


def serve() -> int:
    began = time.monotonic()
    step("Rendering a service with the default answers ...")
    service = render_anew(SCRATCH)
    step("Installing it (a first run downloads its dependencies) ...")
    install(service)
    step("Starting it ...")
    with started(service, "my_service") as process:
        address = wait_for_address(process)
        greeting = get(f"{address}/api/v1/greeting")
        step(f"{address}/api/v1/greeting answered {greeting}, {time.monotonic() - began:.1f} s after make run.")
        print(WHAT_TO_SEE.format(address=address, service=service, template=TEMPLATE), flush=True)
        follow(process)
    return 0 if process.returncode == 0 else 3


def get(url: str) -> object:
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.load(response)


if __name__ == "__main__":
    sys.exit(main())
