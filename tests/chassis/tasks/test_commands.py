"""What the commands print and refuse, without a broker."""

import json

import pytest

from chassis import Service
from chassis.cli import main
from chassis.part import Part
from chassis_tasks import Tasks


@pytest.fixture
def service(part: Tasks, config: object) -> Service:
    @part.task
    async def greet(name: str, times: int = 1) -> None: ...

    @part.task(cron="0 3 * * *")
    async def clean() -> None: ...

    @part.task(every=90)
    async def poll() -> None: ...

    parts: dict[str, Part] = {"tasks": part}
    return Service(package="under_test", parts=parts)


def run(service: Service, *arguments: str) -> int:
    return main(service, arguments)


def test_lists_the_tasks(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(service, "tasks", "list") == 0
    assert capsys.readouterr().out == "greet(name: str, times: int = 1)\nclean()  0 3 * * *\npoll()  every 90 s\n"
    assert run(service, "tasks", "list", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[1] == {"task": "clean", "parameters": "()", "cron": "0 3 * * *", "every": 0}


@pytest.mark.parametrize(
    "arguments",
    [
        ("worker",),
        ("scheduler",),
        ("tasks", "send", "greet", "--json", '{"name": "Ada"}'),
        ("tasks", "show", "1"),
        ("tasks", "cancel", "1"),
        ("tasks", "dead", "list"),
        ("tasks", "dead", "replay", "--all"),
    ],
    ids=" ".join,
)
def test_what_lies_in_memory_no_other_process_sees(
    service: Service, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(service, *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("Error: BROKER_URL is memory://, and ")
    assert "Set it to redis://, amqp:// or nats://" in said


def test_a_scheduler_needs_a_store(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BROKER_URL", "amqp://127.0.0.1")
    assert run(service, "scheduler") == 2
    assert "Set APP_TASKS_STORE_URL to redis:// or nats://" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("send", "gret"), "There is no task gret. There are: greet, clean, poll"),
        (("send", "greet", "--json", "{"), "The arguments do not fit greet(name: str, times: int = 1)"),
        (("send", "greet", "--json", "[]"), "are no JSON object"),
        (("send", "greet"), "missing a required argument: 'name'"),
        (("send", "greet", "--json", '{"name": 1}'), "name: Input should be a valid string"),
        (("send", "greet", "--json", '{"name": "a", "b": 1}'), "got an unexpected keyword argument 'b'"),
        (("dead", "replay"), "ids, as `tasks dead list` prints them, or --all"),
        (("dead", "replay", "1", "--all"), "ids, as `tasks dead list` prints them, or --all"),
    ],
    ids=str,
)
def test_what_is_typed_wrongly_is_told(
    service: Service, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(service, "tasks", *arguments) == 2
    assert words in capsys.readouterr().err


def test_a_broker_that_is_not_there_is_told_in_a_sentence(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BROKER_URL", "redis://127.0.0.1:1")
    assert run(service, "tasks", "dead", "list") == 1
    said = capsys.readouterr().err
    assert said.startswith("Error: The queue cannot be reached: ConnectionError")
    assert "Traceback" not in said
