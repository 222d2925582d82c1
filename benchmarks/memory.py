"""Measure whether a rendered service grows: its memory and its series over many requests, each with another path.

Run by `make bench NAME=memory`. A quarter of the paths each: unknown; below an
endpoint's, with a query; with a request id and a trace of the client's own; refused with 422.
"""

from __future__ import annotations

import argparse
import random
import re
import socket
import sys
import threading
import urllib.request

import service as bench

import render as main_job

sys.path.insert(0, str(main_job.TEMPLATE / "tests"))

from environments import render
from ports import free_port

SCRATCH = main_job.SCRATCH / "memory"
STEP = 20_000
MOST_GROWTH_MIB = 3.0
ROUND = 500  # requests on one connection, sent in a row


def requests(draw: random.Random) -> bytes:
    """A round of requests: to unknown paths, to an endpoint, with ids of the client's own, and refused with 422."""
    heads = []
    for number in range(ROUND):
        token = f"{draw.getrandbits(64) | 1:016x}"
        target, headers = [
            (f"/{token}/{token}", ""),
            (f"/api/v1/greeting?name={token}", ""),
            (f"/api/v1/greeting?x={token}", f"X-Request-ID: {token}\r\nTraceparent: 00-{token * 2}-{token}-00\r\n"),
            (f"/api/v1/greeting?name=&x={token}", ""),
        ][number % 4]
        end = "Connection: close\r\n" if number == ROUND - 1 else ""
        heads.append(f"GET {target} HTTP/1.1\r\nHost: test\r\n{headers}{end}\r\n")
    return "".join(heads).encode()


def ask(port: int, draw: random.Random) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        sending = threading.Thread(target=connection.sendall, args=(requests(draw),))
        sending.start()
        while connection.recv(1 << 20):
            pass
        sending.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    wanted = parser.parse_args().requests
    folder = main_job.empty(SCRATCH)
    service = render(folder)
    python = bench.installed(service)
    port = free_port()
    (contender,) = (one for one in bench.contenders(python, service, "") if "everything on" in one.name)
    with bench.serving(contender, port) as process:
        bench.first_answer(process, f"http://127.0.0.1:{port}{contender.path}")
        rows = [measure(process.pid, port, step) for step in range(-(-wanted // STEP) + 1)]
    report(rows)


def measure(pid: int, port: int, step: int) -> tuple[int, float, int]:
    """Ask for another step; return the requests answered so far, the MiB and the series."""
    draw = random.Random(step)  # noqa: S311
    for _ in range(STEP // ROUND):
        ask(port, draw)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
        samples = [line for line in response.read().decode().splitlines() if not line.startswith("#")]
    counts = [float(line.split()[-1]) for line in samples if re.match("http_requests_total", line)]
    row = (int(sum(counts)), bench.resident(pid), len(samples))
    sys.stdout.write(f"{row[0]:>9,} requests  {row[1]:6.1f} MiB  {row[2]} series\n")
    sys.stdout.flush()
    return row


def report(rows: list[tuple[int, float, int]]) -> None:
    """Compare the last step with the first, which warms caches and buffers up. Exits with 1 where it grew."""
    (first, before, series), (last, after, grown) = rows[0], rows[-1]
    sys.stdout.write(f"after {last - first:,} more requests: {after - before:+.1f} MiB, {grown - series:+d} series\n")
    if after - before > MOST_GROWTH_MIB or grown != series:
        sys.exit("The service grows.")


if __name__ == "__main__":
    main()
