"""Kill workers under load, and count the tasks that are lost and those that run twice.

Run by `make bench NAME=tasks_kill`; ARGS="--broker nats --tasks 5000 --kills 5" says which, how many and how often.
Each broker is the server of the chassis' tests: TEST_REDIS_URL, TEST_AMQP_URL (with Redis as its store) and
TEST_NATS_URL.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile

import render as main_job

sys.path.insert(0, str(main_job.TEMPLATE / "tests"))

from environments import CHASSIS_TESTS, chassis_path, service_python, without_project

BROKERS = ("redis", "amqp", "nats")
# Run by the Python of the services, which has the drivers.
KILL = """
import asyncio, sys
from pathlib import Path
from tasks.kills import LEASE_SECONDS, killed_under_load
from tasks.processes import make_site
from tasks.queues import remove

async def main(broker, number, kills, folder):
    site = make_site(Path(folder) / "site", broker, APP_TASKS_LEASE_SECONDS=str(LEASE_SECONDS))
    try:
        found = await killed_under_load(site, int(number), int(kills))
    finally:
        for url in {site.environ["BROKER_URL"], site.environ["APP_TASKS_STORE_URL"]} - {""}:
            await remove(url, site.environ["APP_TASKS_QUEUE"])
    print(f"| {broker} | {found.kills} | {found.lost} | {found.twice} | {found.seconds:.0f} |", flush=True)
    sys.exit(found.lost > 0)

asyncio.run(main(*sys.argv[1:]))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", action="append", choices=BROKERS, help="all three unless told")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=10)
    wanted = parser.parse_args()
    environ = {**without_project(), "PYTHONPATH": chassis_path(CHASSIS_TESTS)}
    main_job.say(
        f"{wanted.tasks:,} tasks\n| broker | workers killed | lost | run twice | s |\n| --- | --- | --- | --- | --- |"
    )
    codes = []
    for broker in wanted.broker or BROKERS:
        with tempfile.TemporaryDirectory() as folder:
            arguments = [broker, str(wanted.tasks), str(wanted.kills), folder]
            codes.append(
                subprocess.run([service_python(), "-c", KILL, *arguments], env=environ, check=False).returncode
            )
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
