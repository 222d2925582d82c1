"""What goes wrong with Redis, in the words of Python."""

import asyncio

import pytest
from redis import exceptions

from chassis_tasks.redis_connection import connected, told_plainly

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("error", [exceptions.ReadOnlyError(), exceptions.TimeoutError("late")])
async def test_a_server_that_cannot_be_used_is_a_connection_that_is_lost(error: Exception) -> None:
    with pytest.raises(ConnectionError, match=r"ReadOnlyError|late"), told_plainly():
        raise error


async def test_a_command_is_written_as_one_piece() -> None:
    """The asyncio of Python 3.13.0 hangs when it is given several, and the connection is reset meanwhile."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while received := await reader.read(1000):
            writer.write(b"+PONG\r\n" * received.count(b"*"))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    client = connected(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0")
    written: list[bytes] = []
    async with server:
        connection = await client.connection_pool.get_connection()  # type: ignore[no-untyped-call]
        assert connection._writer is not None
        connection._writer.write = written.append
        await connection.send_packed_command([b"SET", b"a", b"b"], check_health=False)
        await connection.disconnect(nowait=True)
        await client.aclose()
    assert written == [b"SETab"]
