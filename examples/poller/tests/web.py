"""A web to poll, on this machine: it answers in 0 to 200 ms, and badly where it is asked to.

`python tests/web.py` serves it on a free port, which it prints.
"""

import asyncio
import contextlib
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator

from aiohttp import web

SLOWEST = 0.2  # seconds
ETAG = '"version-1"'


class Web:
    """The pages by path. `asked` counts the requests by path with its query."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.at_once = self.most_at_once = 0
        self.address = ""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked[request.path_qs] += 1
        self.agents.add(request.headers.get("User-Agent", ""))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            _, kind, *rest = request.path.split("/")
            return await getattr(self, f"page_{kind}", self.page_status)(request, *rest)
        finally:
            self.at_once -= 1

    async def page_status(self, request: web.BaseRequest, status: str = "200") -> web.StreamResponse:
        return web.Response(status=int(status), text="page")

    async def page_mixed(self, request: web.BaseRequest, number: str) -> web.StreamResponse:
        """One in ten has an error, and one in a hundred breaks off."""
        await asyncio.sleep(random.uniform(0, SLOWEST))  # noqa: S311 - no secret
        if int(number) % 100 == 99:
            return await self.page_reset(request)
        status = (404, 500)[int(number) % 2] if int(number) % 10 == 9 else 200
        return web.Response(status=status, text="page " * 100)

    async def page_slow(self, request: web.BaseRequest, seconds: str) -> web.StreamResponse:
        await asyncio.sleep(float(seconds))
        return web.Response()

    async def page_reset(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport:  # whoever asked may be gone already
            request.transport.abort()
        return web.Response()

    async def page_garbage(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport
        request.transport.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        request.transport.close()
        return web.Response()

    async def page_cut(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport
        request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        request.transport.close()
        return web.Response()

    async def page_announced(self, request: web.BaseRequest, size: str) -> web.StreamResponse:
        return web.Response(body=b"x" * int(size))

    async def page_chunked(self, request: web.BaseRequest, size: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(int(size) // 1000):
            await response.write(b"x" * 1000)
        return response

    async def page_redirect(self, request: web.BaseRequest, status: str = "302") -> web.StreamResponse:
        """To what stands in the query."""
        return web.Response(status=int(status), headers={"Location": request.query.get("to", "")})

    async def page_loop(self, request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "/loop"})

    async def page_cached(self, request: web.BaseRequest) -> web.StreamResponse:
        known = request.headers.get("If-None-Match") == ETAG
        return web.Response(status=304 if known else 200, headers={"ETag": ETAG})

    async def page_asked(self, request: web.BaseRequest) -> web.StreamResponse:
        """How often each page was asked."""
        return web.json_response(self.asked)

    async def page_flaky(self, request: web.BaseRequest) -> web.StreamResponse:
        """Busy the first time."""
        return web.Response(status=503 if self.asked[request.path_qs] == 1 else 200)


@contextlib.asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[Web]:
    """The web, at its `address` for as long as the block lasts."""
    pages = Web()
    runner = web.ServerRunner(web.Server(pages.answer, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    pages.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield pages
    finally:
        await runner.cleanup()


async def main() -> None:
    async with serving() as pages:
        sys.stdout.write(f"{pages.address}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
