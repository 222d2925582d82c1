"""However a client's bytes are cut on their way, the service answers the same."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from children import child
from environments import CHASSIS_TESTS, chassis_path

Answer = Callable[[list[bytes]], bytes]
NAMES = st.from_regex(r"[a-z][a-z-]{0,20}", fullmatch=True).filter(
    lambda name: name not in {"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"}
)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)
HEADERS = st.lists(st.builds("{}: {}\r\n".format, NAMES, VALUES), max_size=99).map("".join)
BODIES = st.one_of(st.binary(max_size=200), st.just(b"\r\n\r\n"), st.just(b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n"))


def plain(path: str, headers: str) -> bytes:
    return f"GET /{path} HTTP/1.1\r\n{headers}\r\n".encode()


def sized(path: str, headers: str, body: bytes) -> bytes:
    return f"POST /{path} HTTP/1.1\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


def chunked(path: str, headers: str, bodies: list[bytes], extension: str, trailers: str) -> bytes:
    chunks = b"".join(b"%x;a=%b\r\n%b\r\n" % (len(body), extension.encode(), body) for body in bodies if body)
    head = f"POST /{path} HTTP/1.1\r\n{headers}transfer-encoding: chunked\r\n\r\n".encode()
    return head + chunks + b"0\r\n" + trailers.encode() + b"\r\n"


PATHS = st.from_regex(r"[a-z0-9/]{0,60}", fullmatch=True)
WORDS = st.from_regex(r"[a-z]{1,20}", fullmatch=True)
REQUESTS = st.one_of(
    st.builds(plain, PATHS, HEADERS),
    st.builds(sized, PATHS, HEADERS, BODIES),
    st.builds(chunked, PATHS, HEADERS, st.lists(BODIES, max_size=4), WORDS, HEADERS),
)


@pytest.fixture(scope="module")
def answer(python: Path) -> Iterator[Answer]:
    """What the service's side of a connection answers to pieces, in a process with what a service needs."""
    environment = {**os.environ, "PYTHONPATH": chassis_path()}
    pipes: dict[str, int] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 1}
    with child(python, CHASSIS_TESTS / "wire.py", env=environment, **pipes) as process:
        given, said = process.stdin, process.stdout
        assert given
        assert said

        def ask(pieces: list[bytes]) -> bytes:
            given.write(f"{json.dumps([piece.hex() for piece in pieces])}\n")
            return bytes.fromhex(said.readline())

        yield ask
        given.close()
        assert process.wait(10) == 0


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(requests=st.lists(REQUESTS, min_size=1, max_size=4), data=st.data())
def test_any_cut_gives_the_same_answers(answer: Answer, requests: list[bytes], data: st.DataObject) -> None:
    sent = b"".join(requests)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(sent) - 1), max_size=30)))
    pieces = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    whole = answer([sent])
    assert whole.count(b"HTTP/1.1 200 ") == len(requests), whole
    assert answer(pieces) == whole


@given(junk=st.binary(min_size=2, max_size=300), data=st.data())
def test_any_cut_of_what_is_no_request_gives_the_same_answers(answer: Answer, junk: bytes, data: st.DataObject) -> None:
    sent = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" + junk
    cut = data.draw(st.integers(1, len(sent) - 1))
    assert answer([sent[:cut], sent[cut:]]) == answer([sent])
