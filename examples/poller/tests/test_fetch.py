import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from poller.fetch import Answer, Fetcher, Known, fetcher
from poller.guard import Error, is_public
from poller.settings import Settings

from .web import Web

pytestmark = pytest.mark.anyio


@contextlib.asynccontextmanager
async def fetching(**changed: Any) -> AsyncIterator[Fetcher]:
    """A fetcher that may ask this machine."""
    settings: dict[str, Any] = {"poll_private": True, "poll_ports": (), **changed}
    async with fetcher(Settings(name="poller", contact="https://example.com/poller", **settings)) as made:
        yield made


async def outcome(url: str, **settings: Any) -> int | Error | None:
    async with fetching(**settings) as fetcher:
        answer = await fetcher.fetch(url)
        assert (answer.status is None) == (answer.error is not None)
        return answer.error or answer.status


@pytest.mark.parametrize("status", [200, 204, 301, 400, 404, 500, 599])
async def test_a_status_is_told(web: Web, status: int) -> None:
    assert await outcome(f"{web.address}/status/{status}") == status
    assert web.agents == {"poller (+https://example.com/poller)"}


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/reset", Error.RESET),
        ("/cut", Error.RESET),
        ("/slow/5", Error.TIMEOUT),
        ("/garbage", Error.INVALID_RESPONSE),
        ("/announced/1001", Error.TOO_LARGE),
        ("/chunked/2000", Error.TOO_LARGE),
        ("/loop", Error.TOO_MANY_REDIRECTS),
    ],
)
async def test_an_error_is_told(web: Web, path: str, error: Error) -> None:
    assert await outcome(f"{web.address}{path}", poll_read_seconds=0.1, poll_body_bytes=1000, poll_attempts=1) is error


async def test_the_largest_body(web: Web) -> None:
    for path in ("/announced/1000", "/chunked/1000"):
        assert await outcome(f"{web.address}{path}", poll_body_bytes=1000) == 200


async def test_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert await outcome(f"http://127.0.0.1:{port}/") is Error.REFUSED


async def test_a_server_that_never_accepts() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        async with asyncio.timeout(5):
            url = f"http://127.0.0.1:{full.getsockname()[1]}/"
            assert await outcome(url, poll_connect_seconds=0.1, poll_seconds=0.2) is Error.TIMEOUT


@contextlib.asynccontextmanager
async def stalling(said: bytes) -> AsyncIterator[int]:
    """The port of a server that says this to whoever comes, and then nothing more."""
    is_over = asyncio.Event()

    async def stall(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await is_over.wait()
        writer.close()

    async with await asyncio.start_server(stall, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            is_over.set()


HALF_A_HELLO = b"\x16\x03\x03\x00\x7a\x02"  # of a server's, in TLS
LIMITS = [{"poll_seconds": 0.3}, {"poll_connect_seconds": 0.1, "poll_read_seconds": 0.1}]


@pytest.mark.parametrize("limits", LIMITS, ids=["all in all", "each wait"])
@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        ("https", b""),
        ("https", HALF_A_HELLO),
        ("http", b""),
        ("http", b"HTTP/1.1 2"),
        ("http", b"HTTP/1.1 200 OK\r\nServer: sl"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"),
        ("http", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"),
    ],
    ids=["before TLS", "in TLS", "before the status", "in the status", "in a header", "in the body", "in chunks"],
)
async def test_a_server_that_stalls(scheme: str, said: bytes, limits: dict[str, float]) -> None:
    async with stalling(said) as port, asyncio.timeout(10):
        assert await outcome(f"{scheme}://127.0.0.1:{port}/", poll_attempts=1, **limits) is Error.TIMEOUT


async def test_a_name_server_that_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    async with asyncio.timeout(10):
        assert await outcome("http://slow.example/", poll_attempts=1, poll_seconds=0.2) is Error.TIMEOUT


async def test_a_name_that_nobody_has() -> None:
    assert await outcome("http://nobody.invalid/") is Error.DNS


async def test_a_server_without_tls(web: Web) -> None:
    assert await outcome(web.address.replace("http:", "https:")) is Error.TLS


@pytest.mark.parametrize("text", ["", "file:///etc/passwd", "http://user:password@example.com/"])
async def test_what_is_no_url_has_an_error_too(text: str) -> None:
    assert await outcome(text) is Error.INVALID_URL


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(web: Web, status: int) -> None:
    assert await outcome(f"{web.address}/redirect/{status}?to=/status/204") == 204
    assert await outcome(f"{web.address}/redirect/{status}?to={web.address}/status/204") == 204


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://user:password@127.0.0.1/", "gopher://x"]
)
async def test_a_redirect_is_checked_as_what_was_sent(web: Web, target: str) -> None:
    assert await outcome(f"{web.address}/redirect?to={target}") is Error.INVALID_URL


async def test_a_redirect_to_a_port_that_is_not_asked(web: Web) -> None:
    ports = (int(web.address.rpartition(":")[2]),)
    assert await outcome(f"{web.address}/redirect?to=http://127.0.0.1:25/", poll_ports=ports) is Error.FORBIDDEN_PORT


NOT_ASKED = {Error.FORBIDDEN_ADDRESS, Error.INVALID_URL, Error.DNS}
HERE = ["127.0.0.1", "localhost", "localhost.", "0x7f.1", "0x7f000001", "0", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]


@pytest.mark.parametrize("host", HERE)
async def test_this_machine_is_not_asked(web: Web, host: str) -> None:
    url = web.address.replace("127.0.0.1", host)
    assert await outcome(url, poll_private=False) in NOT_ASKED
    assert web.asked.total() == 0


@pytest.mark.parametrize(
    "host", ["2130706433", "127.1", "0177.0.0.1", "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021"]
)
async def test_nor_by_odd_spellings(web: Web, host: str) -> None:
    url = web.address.replace("127.0.0.1", host)
    assert await outcome(url, poll_private=False) in NOT_ASKED
    assert web.asked.total() == 0


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://10.0.0.1"]
)
async def test_nor_any_other_of_our_network(url: str) -> None:
    assert await outcome(url, poll_private=False) is Error.FORBIDDEN_ADDRESS


@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, "10.0.0.1"),
        (socket.AF_INET, "169.254.169.254"),
        (socket.AF_INET6, "::1"),
        (socket.AF_INET6, "::ffff:127.0.0.1"),
        (socket.AF_INET6, "64:ff9b::7f00:1"),
        (socket.AF_INET6, "2002:7f00:1::"),
        (socket.AF_INET6, "fd00:ec2::254"),
    ],
)
async def test_a_redirect_to_a_name_of_our_network(
    web: Web, monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily, address: str
) -> None:
    """The first address is asked because the test takes it for a public one; that of the redirect is looked at."""
    port = int(web.address.rpartition(":")[2])
    places = {"public.example": (socket.AF_INET, "127.0.0.1"), "inside.example": (family, address)}

    async def resolve(host: str, *_: Any, **__: Any) -> Any:
        family, found = places[host]
        return [(family, socket.SOCK_STREAM, 6, "", (found, port, *((0, 0) if family == socket.AF_INET6 else ())))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    monkeypatch.setattr("poller.guard.is_public", lambda host: host == "127.0.0.1" or is_public(host))
    url = f"http://public.example:{port}/redirect?to=http://inside.example:{port}/status/200"
    assert await outcome(url, poll_private=False, poll_attempts=1) is Error.FORBIDDEN_ADDRESS
    assert [*web.asked] == [f"/redirect?to=http://inside.example:{port}/status/200"]


async def test_what_was_checked_is_what_is_connected_to(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when it is looked up first, and ours the next time: DNS rebinding."""
    answers = iter([("127.0.0.1"), ("127.0.0.1")])
    port = int(web.address.rpartition(":")[2])

    async def resolve(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    url = f"http://rebinding.example:{port}/"
    assert await outcome(url, poll_private=False, poll_attempts=1) is Error.FORBIDDEN_ADDRESS
    assert web.asked.total() == 0
    assert await outcome(url) == 200  # and only the setting lets it through


async def test_what_cannot_answer_now_is_asked_again(web: Web) -> None:
    assert await outcome(f"{web.address}/flaky") == 200
    assert web.asked["/flaky"] == 2
    assert await outcome(f"{web.address}/status/503", poll_attempts=3) == 503
    assert web.asked["/status/503"] == 3
    assert await outcome(f"{web.address}/status/404", poll_attempts=3) == 404
    assert web.asked["/status/404"] == 1


async def test_no_url_takes_longer_than_it_may(web: Web) -> None:
    async with asyncio.timeout(2):
        assert await outcome(f"{web.address}/slow/30", poll_seconds=0.2, poll_attempts=9) is Error.TIMEOUT
        assert await outcome(f"{web.address}/status/503", poll_seconds=0.2, poll_attempts=99) in {503, Error.TIMEOUT}


async def test_what_is_known_is_not_sent_again(web: Web) -> None:
    async with fetching() as fetcher:
        first = await fetcher.fetch(f"{web.address}/cached")
        assert first.validator
        again = await fetcher.fetch(f"{web.address}/cached", Known(first.status, first.validator))
    assert (first.status, first.is_unchanged) == (200, False)
    assert (again.status, again.is_unchanged, again.validator) == (200, True, first.validator)
    assert again.timestamp >= first.timestamp


async def test_a_status_of_304_that_nobody_asked_for(web: Web) -> None:
    assert await outcome(f"{web.address}/status/304") == 304


async def asked_at_once(fetcher: Fetcher, web: Web, number: int) -> list[Answer]:
    return await asyncio.gather(*(fetcher.fetch(f"{web.address}/slow/0.05?{n}") for n in range(number)))


async def test_no_host_is_asked_too_much_at_once(web: Web) -> None:
    async with fetching(poll_per_host=3) as fetcher:
        answers = await asked_at_once(fetcher, web, 12)
    assert [answer.status for answer in answers] == [200] * 12
    assert web.most_at_once == 3


async def test_nor_are_all_of_them(web: Web) -> None:
    async with fetching(poll_per_host=100, poll_concurrency=4) as fetcher:
        await asked_at_once(fetcher, web, 12)
    assert web.most_at_once == 4


async def test_waiting_for_a_turn_is_not_the_fault_of_a_url(web: Web) -> None:
    async with fetching(poll_per_host=1, poll_seconds=0.2) as fetcher:
        answers = await asked_at_once(fetcher, web, 10)
    assert [answer.status for answer in answers] == [200] * 10


async def test_a_slow_host_holds_up_no_other(web: Web) -> None:
    async with fetching(poll_per_host=1, poll_concurrency=2) as fetcher:
        slow = [asyncio.create_task(fetcher.fetch(f"{web.address}/slow/1?{n}")) for n in range(5)]
        await asyncio.sleep(0.05)
        async with asyncio.timeout(0.5):
            answer = await fetcher.fetch(f"{web.address.replace('127.0.0.1', 'localhost')}/status/200")
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
    assert answer.status == 200
