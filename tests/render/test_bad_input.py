"""Whatever comes in: no failure, nothing of the inside, nothing that grows, and the probes answer all the while."""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands import run
from conftest import Render
from rich_api import ROUTES, with_api
from running import Running, resident, running

GREETING = b"/api/v1/items/1"
HOST = b"Host: test\r\n"
# What is right for a server to say of its limits, or of what it does not know. Anything else with a 5 is a failure.
REFUSALS = {501, 503, 504, 505}
INSIDE = re.compile(rb"Traceback|File \"|site-packages|\.py\b|uvicorn|starlette|pydantic|Error:|0x[0-9a-f]{6,}", re.I)
MOST_GROWTH_MIB = 25
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER"}


@pytest.fixture(scope="module")
def service(rendered: Render, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("fuzzed") / "my-service"
    with_api(Path(shutil.copytree(rendered(), folder, symlinks=True)))
    with running(folder, python, APP_REQUEST_SECONDS="2", APP_ENVIRONMENT="production") as started:
        yield started


class Prober(threading.Thread):
    """Asks the probes all the while."""

    def __init__(self, service: Running) -> None:
        super().__init__(daemon=True)
        self.service = service
        self.slowest = 0.0
        self.answers: list[int] = []
        self.over = threading.Event()

    def run(self) -> None:
        while not (self.over.is_set() and self.answers):
            for probe in ("/livez", "/readyz"):
                began = time.monotonic()
                self.answers.append(self.service.get(probe).status)
                self.slowest = max(self.slowest, time.monotonic() - began)
            self.over.wait(0.05)


@pytest.fixture(autouse=True)
def unharmed(service: Running) -> Iterator[None]:
    """What must hold after each attack: what it is about, it answers as before."""
    # The first time, for what is loaded then.
    service.get("/metrics")
    written, memory = len(service.output), resident(service.process.pid)
    prober = Prober(service)
    prober.start()
    yield
    prober.over.set()
    prober.join()
    assert set(prober.answers) == {200}
    assert prober.slowest < 2
    assert service.process.poll() is None
    assert resident(service.process.pid) - memory < MOST_GROWTH_MIB
    labels_are_known(service)
    wait_until(lambda: in_flight(service) == 0)
    lines_are_sound(service.output[written:])
    assert service.get("/api/v1/items/1").status == 200


def lines_are_sound(lines: list[str]) -> None:
    for line in lines:
        event = json.loads(line)
        assert isinstance(event, dict), line
        assert event["level"] in {"info", "warning"}, line
        assert "exception" not in event, line


def labels_are_known(service: Running) -> None:
    """Nothing that a client invents is a label, so there is an end to the series."""
    metrics = service.get("/metrics").body.decode()
    assert set(re.findall(r'route="([^"]*)"', metrics)) <= ROUTES
    assert set(re.findall(r'method="([^"]*)"', metrics)) <= METHODS


def series(service: Running) -> int:
    return sum(not line.startswith("#") for line in service.get("/metrics").body.decode().splitlines())


def in_flight(service: Running) -> float:
    found = re.search(r"^http_requests_in_flight (\S+)$", service.get("/metrics").body.decode(), re.M)
    assert found
    return float(found[1])


def wait_until(holds: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def connected(service: Running, seconds: float = 5) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", service.port), timeout=seconds) as connection:
        yield connection


def send(service: Running, *pieces: bytes, half_close: bool = True, seconds: float = 5) -> bytes:
    """Send raw bytes, and return what comes back until the service closes, or is silent for `seconds`."""
    answer = b""
    with connected(service, seconds) as connection, contextlib.suppress(OSError):
        try:
            for piece in pieces:
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the service has closed already; what it said may still be there
        while received := connection.recv(65536):
            answer += received
    return answer


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def checked(answer: bytes) -> list[int]:
    """The statuses in `answer`; fails on a failure of the service, and where it tells of its inside."""
    found = statuses(answer)
    assert not [status for status in found if status >= 500 and status not in REFUSALS], answer[:2000]
    assert not INSIDE.search(answer.partition(b"\r\n\r\n")[2]), answer[:2000]
    return found


def request(method: bytes = b"GET", path: bytes = GREETING, headers: bytes = b"", body: bytes = b"") -> bytes:
    return method + b" " + path + b" HTTP/1.1\r\n" + HOST + headers + b"\r\n" + body


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phases", "excluded"),
    [
        ("examples,coverage", ()),
        # At random it takes ?tag=false for something other than a list of texts.
        ("fuzzing,stateful", ("--exclude-checks", "negative_data_rejection")),
    ],
    ids=["every constraint", "at random"],
)
def test_it_keeps_what_its_openapi_says(
    service: Running, phases: str, excluded: tuple[str, ...], tmp_path: Path
) -> None:
    done = run(
        *("schemathesis", "run", f"http://127.0.0.1:{service.port}/openapi.json"),
        *("--checks", "all", *excluded, "--phases", phases, "--max-examples", "5", "--seed", "1", "--no-color"),
        *("--generation-database", "none"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"[1-9]\d* generated", done.stdout)


BAD_HTTP = {
    "nothing": b"\r\n\r\n",
    "noise": bytes(range(256)),
    "TLS": bytes.fromhex("16030100a5010000a10303") + b"\x00" * 160,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "version": b"GET / HTTP/9.9\r\n" + HOST + b"\r\n",
    "method": b"G\x00T / HTTP/1.1\r\n" + HOST + b"\r\n",
    "no host": b"GET /api/v1/items/1 HTTP/1.1\r\n\r\n",
    "two hosts": request(headers=b"Host: other\r\n"),
    "host": b"GET /api/hidden/slash HTTP/1.1\r\nHost: \xff<>[::\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: x\n\n",
    "space before the colon": request(headers=b"X-Y : z\r\n"),
    "a header without a colon": request(headers=b"nothing\r\n"),
    "a folded header": request(headers=b"X-Y: a\r\n b\r\n"),
    "zero byte in a header": request(headers=b"X-Y: a\x00b\r\n"),
    "broken UTF-8 in a header": request(headers=b"X-Y: \xff\xfe\r\nX-Request-ID: \xc3\x28\r\nTraceparent: \xff\r\n"),
    "broken UTF-8 in the path": request(path=b"/api/v1/items/\xff\xfe"),
    "escaped broken UTF-8": request(path=b"/mounted/things/%ff%fe%c0%af"),
    "escaped control characters": request(path=b"/plain/%00%0d%0a%1b[31m%22%5c%e2%80%a8"),
    "escape that is none": request(path=b"/plain/%zz%"),
    "traversal": request(path=b"/docs/../../../../etc/passwd"),
    "escaped traversal": request(path=b"/docs/%2e%2e/%2e%2e/etc/passwd"),
    "absolute": request(path=b"http://other/api/v1/items/1"),
    "absolute with noise": request(path=b"http://[::\xff/"),
    "authority": request(method=b"CONNECT", path=b"other:443"),
    "asterisk": request(method=b"OPTIONS", path=b"*"),
    "upgrade": request(headers=b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
    "h2c": request(headers=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"),
    "expectation": request(b"POST", b"/api/hidden/echo", b"Expect: 200-maybe\r\nContent-Length: 2\r\n", b"{}"),
    "a long request line": request(path=b"/" + b"a" * 1_000_000),
    "a long query": request(path=GREETING + b"?colour=" + b"a" * 500_000),
    "a long method": request(method=b"A" * 500_000),
    "a large header": request(headers=b"X-Large: " + b"a" * 1_000_000 + b"\r\n"),
    "a large header name": request(headers=b"X" * 1_000_000 + b": a\r\n"),
    "many headers": request(headers=b"".join(b"X-%d: y\r\n" % number for number in range(20_000))),
    "many cookies": request(headers=b"Cookie: " + b"a=b; " * 50_000 + b"\r\n"),
    "length": request(b"POST", b"/api/hidden/echo", b"Content-Length: x\r\n", b"{}"),
    "negative length": request(b"POST", b"/api/hidden/echo", b"Content-Length: -1\r\n", b"{}"),
    "huge length": request(b"POST", b"/api/hidden/echo", b"Content-Length: " + b"9" * 30 + b"\r\n", b"{}"),
    "two lengths": request(b"POST", b"/api/hidden/echo", b"Content-Length: 2\r\nContent-Length: 7\r\n", b"{}"),
    "chunk size": request(b"POST", b"/api/hidden/echo", b"Transfer-Encoding: chunked\r\n", b"zz\r\n{}\r\n0\r\n\r\n"),
    "huge chunk size": request(b"POST", b"/api/hidden/echo", b"Transfer-Encoding: chunked\r\n", b"f" * 40 + b"\r\n"),
    "chunk extension": request(
        b"POST", b"/api/hidden/echo", b"Transfer-Encoding: chunked\r\n", b"1;" + b"a" * 200_000 + b"\r\nx\r\n0\r\n\r\n"
    ),
    "encoding": request(b"POST", b"/api/hidden/echo", b"Transfer-Encoding: gzip, identity\r\n", b"{}"),
}


@pytest.mark.parametrize("attack", BAD_HTTP.values(), ids=BAD_HTTP)
def test_bad_http_is_refused_or_closed(service: Running, attack: bytes) -> None:
    assert len(checked(send(service, attack))) <= 1


@pytest.mark.parametrize("second", [b"GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"])
@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        b"Content-Length: 6\r\nTransfer-Encoding : chunked\r\n",
        b"Content-Length: 6\r\nTransfer-Encoding: xchunked\r\n",
        b"Content-Length: 6\r\nTransfer-Encoding: \x0bchunked\r\n",
        b"Content-Length: 6\r\nTransfer-Encoding: chunked, identity\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n",
    ],
)
def test_a_body_of_two_lengths_is_no_two_requests(service: Running, headers: bytes, second: bytes) -> None:
    answer = send(service, request(b"POST", b"/api/hidden/echo", headers, b"0\r\n\r\n" + second))
    checked(answer)
    assert b"/smuggled" not in answer, answer


def test_a_body_that_is_declared_too_large_is_refused_before_it_comes(service: Running) -> None:
    head = request(b"POST", b"/api/hidden/echo", b"Content-Length: 1000000000\r\n")
    assert checked(send(service, head, half_close=False)) == [413]


def test_a_chunked_body_is_cut_off_when_it_is_too_large(service: Running) -> None:
    head = request(b"POST", b"/api/hidden/echo", b"Transfer-Encoding: chunked\r\n")
    chunks = [b"10000\r\n" + b"x" * 0x10000 + b"\r\n"] * 320  # 20 MiB
    assert checked(send(service, head, *chunks)) in ([413], [])


def test_slow_clients_are_timed_out_and_hold_nobody_up(service: Running) -> None:
    """Some send no more than half a head, and others not all of their body, a byte now and then."""
    head, body = b"GET /livez HTTP/1.1\r\n", request(b"POST", b"/api/hidden/echo", b"Content-Length: 9\r\n")
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connected(service, 10)) for _ in range(100)]
        for number, connection in enumerate(slow):
            connection.sendall(body if number % 2 else head)
        for _ in range(5):
            time.sleep(0.2)
            assert service.get("/api/v1/items/1").status == 200
            for number, connection in enumerate(slow):
                connection.sendall(b"x" if number % 2 else b"X-%d: y\r\n" % number)
        answers = [connection.recv(65536) for connection in slow[1::2]]
    assert [checked(answer) for answer in answers] == [[408]] * 50


def test_requests_in_a_row_are_answered_in_their_order(service: Running) -> None:
    requests = [request(path=b"/api/v1/items/%d" % number) for number in range(200)]
    answer = send(service, b"".join(requests), seconds=2, half_close=False)
    assert checked(answer) == [200] * 200
    assert re.findall(rb'"name":"item (\d+)"', answer) == [b"%d" % number for number in range(200)]


def test_a_good_request_and_then_noise(service: Running) -> None:
    assert checked(send(service, request() + b"\x00\xff" * 1000))[0] in {200, 400}


def test_a_client_that_has_said_all_gets_its_answer(service: Running) -> None:
    assert checked(send(service, request())) in ([200], [])


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize(
    "attack",
    [
        b"GET /api",
        request(b"POST", b"/api/hidden/echo", b"Content-Length: 100\r\n", b"half"),
        request(b"POST", b"/api/v1/items", b"Content-Length: 100\r\nContent-Type: application/json\r\n", b'{"name'),
        request(b"POST", b"/api/hidden/echo", b"Transfer-Encoding: chunked\r\n", b"5\r\nhel"),
        request(path=b"/api/hidden/slow/0.3"),
        request(path=b"/api/hidden/stream/100"),
        request(path=b"/docs/swagger-ui-bundle.js"),
    ],
    ids=["head", "body", "JSON body", "chunk", "before the response", "in a stream", "in a file"],
)
def test_a_client_that_leaves_early_is_no_failure(service: Running, attack: bytes, reset: bool) -> None:
    for _ in range(20):
        with connected(service) as connection:
            connection.sendall(attack)
            if b"stream" in attack or b"docs" in attack:
                connection.recv(100)
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: in_flight(service) == 0)


def test_a_failure_tells_the_client_nothing_of_the_inside(service: Running) -> None:
    """The negative control: what a failure logs, and what the checks above would have seen."""
    written = len(service.output)
    answer = send(service, request(path=b"/api/hidden/bug/%ff%0a"))
    assert statuses(answer) == [500]
    assert b"a secret" not in answer
    assert not INSIDE.search(answer.partition(b"\r\n\r\n")[2])
    with pytest.raises(AssertionError):
        checked(answer)
    wait_until(lambda: any('"exception"' in line for line in service.output[written:]))
    with pytest.raises(AssertionError):
        lines_are_sound(service.output[written:])
    del service.output[written:]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=300),
        st.builds(
            lambda method, path, headers, body: request(method, b"/" + path, headers, body),
            st.sampled_from([b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"BREW"]),
            st.binary(max_size=60),
            st.binary(max_size=100),
            st.binary(max_size=100),
        ),
        st.tuples(st.integers(0, 120), st.binary(min_size=1, max_size=6)).map(lambda at: _mutated(*at)),
    )
)
def test_random_bytes(service: Running, attack: bytes) -> None:
    checked(send(service, attack, seconds=3))


def _mutated(at: int, with_: bytes) -> bytes:
    good = request(
        b"POST", b"/api/v1/items", b"Content-Type: application/json\r\nContent-Length: 12\r\n", b'{"name":"a"}'
    )
    return good[:at] + with_ + good[at + len(with_) :]


@pytest.mark.slow
def test_five_thousand_paths_make_no_series_and_take_no_memory(service: Running) -> None:
    """benchmarks/memory.py does the same with 200,000."""
    ask_paths(service, 500)
    before, memory = series(service), resident(service.process.pid)
    ask_paths(service, 5000)
    assert series(service) == before
    assert resident(service.process.pid) - memory < 4


def ask_paths(service: Running, count: int) -> None:
    draw = random.Random(count)  # noqa: S311
    for _ in range(count // 50):
        paths = [
            draw.choice([b"/%x", b"/plain/%x", b"/api/v1/items/%d", b"/docs/%x"]) % draw.getrandbits(60)
            for _ in range(50)
        ]
        answer = send(
            service,
            *(request(path=path) for path in paths[:-1]),
            request(path=paths[-1], headers=b"Connection: close\r\n"),
            half_close=False,
        )
        assert len(checked(answer)) == 50
