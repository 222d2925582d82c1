"""Ask a web on this machine many URLs, by a bare aiohttp `gather` or by the poller's fetcher; print the CPU it took.

Run by poller.py, in the environment of a service: python bare_poller.py bare|fetcher ADDRESS NUMBER CONCURRENCY
"""

import asyncio
import json
import resource
import sys
import time

import uvloop
from aiohttp import ClientError, ClientSession, TCPConnector
from poller.fetch import fetcher
from poller.settings import Settings


async def bare(urls: list[str], concurrency: int) -> int:
    async with ClientSession(connector=TCPConnector(limit=concurrency)) as session:

        async def ask(url: str) -> bool:
            try:
                async with session.get(url) as response:
                    await response.read()
                    return True
            except ClientError:
                return False

        return sum(await asyncio.gather(*map(ask, urls)))


async def fetching(urls: list[str], concurrency: int) -> int:
    settings = Settings(
        name="poller",
        contact="https://example.com/",
        poll_private=True,
        poll_ports=(),
        poll_concurrency=concurrency,
        poll_per_host=concurrency,
    )
    async with fetcher(settings) as found:
        answers = await asyncio.gather(*map(found.fetch, urls))
        return sum(answer.status is not None for answer in answers)


def main(how: str, address: str, number: str, concurrency: str) -> None:
    urls = [f"{address}/mixed/{each}" for each in range(int(number))]
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    answered = uvloop.run({"bare": bare, "fetcher": fetching}[how](urls, int(concurrency)))
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sys.stdout.write(json.dumps({"answered": answered, "cpu": cpu, "wall": time.perf_counter() - began}))


main(*sys.argv[1:])
