"""What one request may be before any application sees it, at each bound and one above."""

import asyncio
import logging
import random
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from chassis.http.protocol import LINGER_BYTES, LINGER_SECONDS
from patience import HANGS
from ports import free_port
from required import require_proc
from service_process import Running, connected, make_service, running
from wire import Connection, echo

pytestmark = pytest.mark.anyio

GET = b"GET /asked HTTP/1.1\r\nhost: test\r\n"
POST = b"POST /asked HTTP/1.1\r\nhost: test\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"
MOST, HEADERS, URL, SECONDS = 65_536, 100, 8192, 10.0


def head(size: int, start: bytes = GET) -> bytes:
    """A whole head of `size` bytes."""
    return start + b"x-long: " + b"a" * (size - len(start) - 12) + b"\r\n\r\n"


def many_headers(count: int) -> bytes:
    return GET + b"".join(b"x-%d: y\r\n" % number for number in range(count - 1)) + b"\r\n"


def long_url(size: int) -> bytes:
    return b"GET /" + b"a" * (size - 1) + b" HTTP/1.1\r\nhost: test\r\n\r\n"


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def in_pieces_of(size: int, data: bytes) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


BOUNDS = {
    "head": (head, MOST, 431),
    "headers": (many_headers, HEADERS, 431),
    "url": (long_url, URL, 414),
}
BEFORE = {
    "the first": b"",
    "after one without a body": GET + b"\r\n",
    "after one with a body": POST + b"content-length: 8\r\n\r\n\r\n\r\nbody",
    "after an empty body": POST + b"content-length: 0\r\n\r\n",
    "after a chunked one": CHUNKED + b"4\r\nbody\r\n0\r\n\r\n",
    "after a chunked one with trailers": CHUNKED + b"4;a=b\r\n\r\n\r\n\r\n0\r\nx-trailer: y\r\n\r\n",
    "after one that asks for another protocol": GET + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n",
}


@pytest.mark.parametrize("size", [1_000_000, 60_000, 1448, 1000, 77])
@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize(("request_of", "most", "refusal"), BOUNDS.values(), ids=BOUNDS)
async def test_the_bound_passes_and_one_more_does_not(
    request_of: Callable[[int], bytes], most: int, refusal: int, before: bytes, size: int
) -> None:
    first = [200] if before else []
    for count, status in ((most, 200), (most + 1, refusal)):
        connection = Connection(echo)
        answer = await connection.send(*in_pieces_of(size, before + request_of(count)))
        assert statuses(answer) == [*first, status]
        assert connection.transport.is_half_closed == (status != 200)
        assert not connection.transport.is_closed


async def test_the_bound_holds_behind_a_smaller_body_than_the_one_before() -> None:
    larger, smaller = (POST + b"content-length: %d\r\n\r\n" % size + b"b" * size for size in (100_000, 4))
    assert statuses(await Connection(echo).send(larger + smaller + head(MOST))) == [200, 200, 200]
    assert statuses(await Connection(echo).send(larger + smaller + head(MOST + 1))) == [200, 200, 431]


async def test_a_refusal_says_what_is_too_large_and_that_this_is_the_end(caplog: pytest.LogCaptureFixture) -> None:
    connection = Connection(echo)
    answer = await connection.send(GET + b"cookie: very-secret\r\n" + b"x: y\r\n" * 100 + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nThis request has more than 100 headers.")
    (line,) = caplog.records
    assert line.levelno == logging.WARNING
    assert line.getMessage() == "a request was refused with 431: This request has more than 100 headers."
    assert (line.__dict__["status"], line.__dict__["client"]) == (431, "192.0.2.1")


@pytest.mark.parametrize(
    "endless",
    [
        b"GET / HTTP/1.1\r\nx: " + b"a" * 300_000,
        b"GET / HTTP/1.1\r\nx:" + b" " * 300_000,
        b"GET / HTTP/1.1\r\n" + b"a" * 300_000,
        b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * 60_000,
        b"\r\n" * 150_000,
        b"\n" * 300_000,
        CHUNKED + b"1;" + b"a" * 300_000,
        CHUNKED + b"1;a=" + b'"' + b"a" * 300_000,
        CHUNKED + b"0" * 300_000,
        CHUNKED + b"0\r\nx: " + b"a" * 300_000,
        CHUNKED + b"0\r\n" + b"a:b\r\n" * 60_000,
        CHUNKED + b"1;" + b"a" * 60_000 + b"\r\nx\r\n1;" + b"a" * 240_000,
    ],
)
@pytest.mark.parametrize("size", [300_000, 65_536, 1448, 1000])
async def test_what_has_no_end_is_given_up_within_its_bound(endless: bytes, size: int) -> None:
    connection = Connection(echo)
    fed = 0
    for piece in in_pieces_of(size, endless):
        answer = await connection.send(piece)
        fed += len(piece)
        if answer:
            break
    assert statuses(answer) in ([431], [400])
    assert fed <= 2 * MOST + len(CHUNKED) + max(size, 1000)


async def test_an_endless_url_is_told_from_an_endless_header() -> None:
    connection = Connection(echo)
    assert await connection.send(b"GET /" + b"a" * (URL - 1)) == b""
    assert statuses(await connection.send(b"a")) == [414]


async def test_what_stands_around_the_chunks_of_an_honest_client_is_no_matter() -> None:
    chunks = b"".join(b"0001;x=y\r\n%b\r\n" % bytes([byte]) for byte in b"a" * 50_000)
    connection = Connection(echo)
    answer = await connection.send(*in_pieces_of(5000, CHUNKED + chunks + b"0\r\n\r\n"))
    assert answer.endswith(b" " + b"a" * 50_000)


async def test_trailers_are_no_headers() -> None:
    seen: list[Scope] = []

    async def keeping(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await echo(scope, receive, send)

    connection = Connection(keeping)
    answer = await connection.send(CHUNKED, b"4\r\nbody\r\n0\r\nauthorization: forged\r\n\r\n", GET + b"\r\n")
    assert statuses(answer) == [200, 200]
    assert [[name for name, _ in scope["headers"]] for scope in seen] == [[b"host", b"transfer-encoding"], [b"host"]]


# Time


async def test_a_head_has_ten_seconds_from_the_connections_first_moment() -> None:
    connection = Connection(echo)
    connection.loop.move_on(6)
    assert await connection.send(GET) == b""
    connection.loop.move_on(3.5)
    assert not connection.transport.is_half_closed
    connection.loop.move_on(0.5)
    assert statuses(connection.transport.written) == [408]
    assert connection.transport.is_half_closed


@pytest.mark.parametrize("sent", [b"", b"\r\n\r\n"])
async def test_a_connection_on_which_nothing_came_is_closed_without_a_word(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    connection = Connection(echo)
    await connection.send(*([sent] if sent else []))
    connection.loop.move_on(SECONDS)
    assert (connection.transport.written, connection.transport.is_closed) == (b"", True)
    assert [line.getMessage() for line in caplog.records] == ["a connection was closed: no request came in 10 s"]


async def test_a_head_in_time_has_stopped_the_clock() -> None:
    connection = Connection(echo)
    answer = await connection.send(POST + b"content-length: 4\r\n\r\n")
    connection.loop.move_on(1000)  # what a body may take is another limit's matter
    assert (answer, connection.transport.is_closed) == (b"", False)
    assert statuses(await connection.send(b"body")) == [200]


async def test_a_second_head_has_ten_seconds_from_its_first_byte() -> None:
    connection = Connection(echo)
    await connection.send(GET + b"\r\n")
    connection.loop.move_on(4)
    await connection.send(b"GET /")
    connection.loop.move_on(SECONDS - 0.001)
    assert not connection.transport.is_half_closed
    connection.loop.move_on(0.001)
    assert statuses(connection.transport.written) == [200, 408]


async def test_a_head_that_came_after_the_request_before_it_keeps_its_ten_seconds() -> None:
    """The time-out of an idle connection begins with the response, and this one is not idle."""
    connection = Connection(echo)
    await connection.send(GET + b"\r\n" + GET)
    connection.loop.move_on(SECONDS - 0.001)
    assert not connection.transport.is_closed
    connection.loop.move_on(0.001)
    assert statuses(connection.transport.written) == [200, 408]


@pytest.mark.parametrize("more", [b"", b"\r\n"])
async def test_an_idle_connection_has_its_own_time(more: bytes) -> None:
    connection = Connection(echo)
    await connection.send(GET + b"\r\n" + more)
    connection.loop.move_on(4.999)
    assert not connection.transport.is_closed
    connection.loop.move_on(0.001)
    assert (statuses(connection.transport.written), connection.transport.is_closed) == ([200], True)


async def test_what_is_left_of_an_answered_requests_body_may_not_stay_away_for_ever() -> None:
    async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    connection = Connection(hasty)
    await connection.send(POST + b"content-length: 10\r\n\r\n", b"1")
    for _ in range(3):
        connection.loop.move_on(4)
        await connection.send(b"2")
    assert not connection.transport.is_closed
    connection.loop.move_on(5)
    assert connection.transport.is_closed


async def test_the_time_stands_still_while_it_is_the_server_that_does_not_read() -> None:
    slow = Slow()
    connection = Connection(slow)
    await connection.send((GET + b"\r\n") * 3 + GET)
    assert connection.transport.is_paused
    connection.loop.move_on(1000)
    slow.go_on.set()
    assert statuses(await connection.send(b"\r\n")) == [200] * 4


class Slow:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        await self.go_on.wait()
        await echo(scope, receive, send)


# The order of answers, and the end of a connection


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_answers_to_what_came_before_come_first(count: int) -> None:
    slow = Slow()
    connection = Connection(slow)
    assert await connection.send((GET + b"\r\n") * count + many_headers(101)) == b""
    slow.go_on.set()
    assert statuses(await connection.send()) == [200] * count + [431]
    assert connection.transport.is_half_closed


async def test_a_slow_head_behind_a_slow_answer_is_told_so_after_it() -> None:
    slow = Slow()
    connection = Connection(slow)
    await connection.send(GET + b"\r\n" + GET)
    connection.loop.move_on(SECONDS)
    assert connection.transport.written == b""
    slow.go_on.set()
    assert statuses(await connection.send()) == [200, 408]


async def test_an_answer_under_way_is_not_cut_off_by_line_ends_behind_its_request() -> None:
    slow = Slow()
    connection = Connection(slow)
    await connection.send(GET + b"\r\n\r\n")
    connection.loop.move_on(100)
    slow.go_on.set()
    assert statuses(await connection.send()) == [200]


async def test_thousands_of_requests_at_once_wait_as_bytes() -> None:
    slow = Slow()
    connection = Connection(slow)
    await connection.send((GET + b"\r\n") * 5000)
    assert (slow.running, len(connection.protocol.pipeline)) == (1, 1)
    slow.go_on.set()
    while connection.protocol.pipeline:
        await connection.send()
    assert connection.transport.written.count(b"HTTP/1.1 200 ") == 5000


async def test_an_application_that_asks_for_its_client_does_not_fill_the_memory() -> None:
    asked = asyncio.Event()

    async def asking(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for _ in range(20):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), 0)
        asked.set()
        await echo(scope, receive, send)

    connection = Connection(asking)
    many = (GET + b"\r\n") * 1000
    await connection.send(*[many] * 20)
    assert connection.taken == len(many)


async def test_a_broken_body_is_answered_unless_its_answer_has_begun() -> None:
    async def begun(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        await receive()

    waiting = Connection(echo)
    assert statuses(await waiting.send(CHUNKED, b"zz\r\n")) == [400]
    assert waiting.transport.is_half_closed
    answering = Connection(begun)
    assert statuses(await answering.send(CHUNKED, b"zz\r\n")) == [200]
    assert answering.transport.is_closed


async def test_messages_of_a_refused_request_go_nowhere() -> None:
    """The application of a request whose body broke hears that its client has left."""
    heard: list[Message] = []

    async def listening(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"too late"})

    connection = Connection(listening)
    assert statuses(await connection.send(CHUNKED, b"zz\r\n")) == [400]
    assert heard == [{"type": "http.disconnect"}]


@pytest.mark.parametrize("before", [GET + b"\r\n", CHUNKED + b"0\r\n\r\n", CHUNKED + b"0\r\n\r\n" + GET + b"\r\n"])
async def test_a_broken_body_behind_a_slow_answer_is_told_so_after_it(before: bytes) -> None:
    slow = Slow()
    connection = Connection(slow)
    await connection.send(before + CHUNKED + b"zz\r\n")
    slow.go_on.set()
    assert statuses(await connection.send()) == [200] * before.count(b" /asked ") + [400]


async def test_a_refused_client_is_listened_to_for_some_bytes() -> None:
    connection = Connection(echo)
    answer = await connection.send(*in_pieces_of(MOST, b"GET / HTTP/1.1\r\na: " + b"a" * LINGER_BYTES))
    assert statuses(answer) == [431]
    assert not connection.transport.is_closed
    await connection.send(b"a" * MOST)
    assert (connection.transport.written, connection.transport.is_closed) == (answer, True)


async def test_a_refused_client_is_listened_to_for_a_while() -> None:
    connection = Connection(echo)
    await connection.send(many_headers(101))
    connection.loop.move_on(LINGER_SECONDS - 0.001)
    assert not connection.transport.is_closed
    connection.loop.move_on(0.001)
    assert connection.transport.is_closed


async def test_a_request_that_asks_for_another_protocol_is_answered_as_any_other() -> None:
    upgrade = GET + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n"
    for pieces in ([upgrade + GET + b"\r\n"], [upgrade, GET + b"\r\n"]):
        assert statuses(await Connection(echo).send(*pieces)) == [200, 200]


async def test_a_body_that_the_parser_would_skip_is_refused() -> None:
    """It was lost, and where it came in a piece of its own it was taken for the next request."""
    smuggled = GET + b"\r\n"
    upgrade = POST + b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: %d\r\n\r\n" % len(smuggled)
    for pieces in ([upgrade + smuggled], [upgrade, smuggled]):
        assert statuses(await Connection(echo).send(*pieces)) == [501]


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked() -> None:
    expecting = POST + b"content-length: 4\r\nexpect: 100-continue\r\n"
    connection = Connection(echo)
    assert statuses(await connection.send(head(MOST, expecting))) == [100]
    assert statuses(await connection.send(b"body")) == [100, 200]
    assert statuses(await Connection(echo).send(head(MOST + 1, expecting))) == [431]


# However it is cut

CONVERSATIONS = [
    GET + b"\r\n",
    b"\r\n\r\n" + GET + b"\r\n",
    POST + b"content-length: 4\r\n\r\nbody" + GET + b"\r\n",
    CHUNKED + b"4;a=b\r\n\r\n\r\n\r\n1\r\nx\r\n0\r\nt: u\r\n\r\n" + GET + b"\r\n",
    POST + b"expect: 100-continue\r\ncontent-length: 4\r\n\r\nbody",
    GET + b"connection: upgrade\r\nupgrade: h2c\r\n\r\n" + GET + b"\r\n",
    GET + b"\r\n" + many_headers(101),
    GET + b"\r\n" + GET + b"no colon\r\n\r\n",
    CHUNKED + b"4\r\nbodyXX",
]


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_every_cut_gives_the_same_answers(conversation: bytes) -> None:
    whole = await Connection(echo).send(conversation)
    assert statuses(whole)
    for at in range(1, len(conversation)):
        assert await Connection(echo).send(conversation[:at], conversation[at:]) == whole, at
    assert await Connection(echo).send(*in_pieces_of(1, conversation)) == whole


@pytest.mark.parametrize("seed", range(40))
async def test_random_cuts_of_long_conversations(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    parts = draw.choices([*CONVERSATIONS[:6], head(MOST), long_url(URL), many_headers(HEADERS)], k=8)
    conversation = b"".join(part for part in parts if b"100-continue" not in part)
    cuts = sorted(draw.sample(range(1, len(conversation)), k=12))
    pieces = [conversation[start:end] for start, end in zip([0, *cuts], [*cuts, len(conversation)], strict=True)]
    whole = await Connection(echo).send(conversation)
    assert await Connection(echo).send(*pieces) == whole
    assert set(statuses(whole)) == {200}


# The process


HEAD_SECONDS = 2  # in which a head comes that was sent in one piece, on a machine of any speed


@pytest.fixture
async def service(sample_service: Path) -> AsyncIterator[Running]:
    async with running(sample_service, APP_HEAD_SECONDS=str(HEAD_SECONDS)) as started:
        yield started


def talk(port: int, *pieces: bytes) -> bytes:
    """What comes back until the server closes, however much of `pieces` it takes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=HANGS) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except OSError:
            pass  # the server has closed already; what it said is still there
        while received := connection.recv(65_536):
            answer += received
    return answer


@pytest.mark.slow
async def test_a_hundred_megabytes_on_one_header_line_cost_next_to_nothing(service: Running) -> None:
    before, spent = _resident(service), _cpu(service)
    answer = await asyncio.to_thread(talk, service.port, b"GET /livez HTTP/1.1\r\nx: ", *[b"a" * 1_000_000] * 100)
    assert statuses(answer) == [431]
    assert _resident(service) - before < 8
    assert _cpu(service) - spent < 1
    assert [line["status"] for line in service.lines() if line["logger"] == "chassis.protocol"] == [431]


@pytest.mark.slow
async def test_many_connections_at_their_bound_cost_what_they_sent(service: Running) -> None:
    before = _resident(service)
    head_without_end = b"GET /livez HTTP/1.1\r\nx: " + b"a" * 60_000
    answers = await asyncio.gather(*(_said(service.port, head_without_end) for _ in range(100)))
    assert {tuple(statuses(answer)) for answer in answers} == {(408,)}
    assert _resident(service) - before < 40


@pytest.mark.slow
async def test_a_client_that_sends_a_few_megabytes_too_many_reads_its_answer_and_sees_no_reset(
    service: Running,
) -> None:
    for megabytes in (0.1, 0.5, 1, 2, 3):
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nx: " + b"a" * int(megabytes * 1_000_000))
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert statuses(answer) == [431]


@pytest.mark.slow
async def test_silent_and_slow_clients_are_closed_in_time(service: Running) -> None:
    began = time.monotonic()
    assert await asyncio.to_thread(talk, service.port) == b""
    assert statuses(await asyncio.to_thread(talk, service.port, b"GET / HTTP/1.1\r\nx:")) == [408]
    assert time.monotonic() - began >= 2 * HEAD_SECONDS


MAIN_OF_A_WORKER = """
from chassis import Service
from chassis.serving import stand_by
service = Service(package=__package__)
if __name__ == "__main__":
    settings = service.load()
    service.configure_logging(settings)
    raise SystemExit(stand_by(service, settings=settings, port=0, variable="PORT"))
"""


@pytest.mark.slow
async def test_whatever_listens_has_the_bounds(sample_service: Path, tmp_path: Path) -> None:
    """One process, several, the port of the metrics, and a worker's probes."""
    admin_port, bound = free_port(), {"APP_HEAD_SECONDS": str(HEAD_SECONDS)}
    worker = make_service(tmp_path / "worker", MAIN_OF_A_WORKER)
    async with (
        running(sample_service, WEB_CONCURRENCY="2", ADMIN_PORT=str(admin_port), **bound) as several,
        running(worker, **bound) as standing_by,
    ):
        for port in (several.port, admin_port, standing_by.port):
            assert statuses(await asyncio.to_thread(talk, port, head(MOST + 1))) == [431]
            assert statuses(await asyncio.to_thread(talk, port, long_url(URL + 1))) == [414]
            assert await asyncio.to_thread(talk, port) == b""


async def _said(port: int, data: bytes) -> bytes:
    async with connected(port) as connection:
        connection.writer.write(data)
        return await connection.reader.read()


def _resident(service: Running) -> float:
    # In MiB.
    require_proc()
    status = Path(f"/proc/{service.process.pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _cpu(service: Running) -> float:
    require_proc()
    fields = Path(f"/proc/{service.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
