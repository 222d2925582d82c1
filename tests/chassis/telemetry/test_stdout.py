import os
import sys
import threading

import pytest

from chassis.telemetry.stdout import Stdout


def through_a_pipe(monkeypatch: pytest.MonkeyPatch) -> tuple[Stdout, int, int]:
    reader, writer = os.pipe()
    stdout = Stdout()
    monkeypatch.setattr(stdout, "_descriptor", writer)
    return stdout, reader, writer


def test_a_line_arrives_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout, reader, _ = through_a_pipe(monkeypatch)
    stdout.write(b"one\n")
    assert os.read(reader, 100) == b"one\n"


def test_a_full_pipe_that_does_not_block_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout, reader, writer = through_a_pipe(monkeypatch)
    os.set_blocking(writer, False)
    line = b"x" * 1_000_000 + b"\n"
    thread = threading.Thread(target=stdout.write, args=(line,))
    thread.start()
    received = b""
    while len(received) < len(line):
        received += os.read(reader, 65536)
    thread.join(5)
    assert received == line
    assert stdout.dropped == 0


def test_a_stuck_reader_costs_a_line_and_not_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.telemetry.stdout.PATIENCE_SECONDS", 0.05)
    stdout, _, writer = through_a_pipe(monkeypatch)
    os.set_blocking(writer, False)
    stdout.write(b"x" * 1_000_000)
    assert stdout.dropped == 1


def test_a_reader_that_is_gone_costs_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout, reader, _ = through_a_pipe(monkeypatch)
    os.close(reader)
    stdout.write(b"one\n")
    assert stdout.dropped == 1


def test_a_closed_stdout_costs_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout, _, writer = through_a_pipe(monkeypatch)
    os.close(writer)
    stdout.write(b"one\n")
    assert stdout.dropped == 1


def test_what_stands_in_for_stdout_is_written_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Stdout().write(b"one\n")
    assert capsys.readouterr().out == "one\n"
    monkeypatch.setattr(sys, "stdout", None)
    silent = Stdout()
    silent.write(b"two\n")
    assert silent.dropped == 1
