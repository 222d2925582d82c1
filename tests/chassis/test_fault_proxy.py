import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from fault_proxy import FaultProxy, fault_proxy

pytestmark = pytest.mark.anyio


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionResetError):
        while piece := await reader.read(100):
            writer.write(piece)
    writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with server, fault_proxy("127.0.0.1", server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


async def _asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"hello")
    return await asyncio.wait_for(reader.read(100), 0.2)


async def test_hands_on_both_ways(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await _asked(reader, writer) == b"hello"
    assert proxy.connections == 1
    writer.close()


async def test_swallows_and_heals(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await _asked(reader, writer) == b"hello"
    proxy.swallow()
    with pytest.raises(TimeoutError):
        await _asked(reader, writer)
    new_reader, new_writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    with pytest.raises(TimeoutError):
        await _asked(new_reader, new_writer)
    await proxy.heal()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    healed_reader, healed_writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await _asked(healed_reader, healed_writer) == b"hello"
    for each in (writer, new_writer, healed_writer):
        each.close()


async def test_refuses_and_heals(proxy: FaultProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await _asked(reader, writer) == b"hello"
    await proxy.refuse()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", proxy.port)
    await proxy.heal()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await _asked(reader, writer) == b"hello"
    writer.close()
