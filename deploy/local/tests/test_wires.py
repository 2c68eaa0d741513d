"""A wire does to a connection what a network does."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from local_stack.wires import Wire, wired

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """To a server that says again what it hears."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(100):
            writer.write(chunk)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, wired(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}") as made:
        yield made


async def said(ends: Ends, words: bytes) -> bytes:
    """What comes back."""
    ends[1].write(words)
    return await asyncio.wait_for(ends[0].read(100), timeout=5)


async def test_what_is_said_comes_through_and_so_does_the_end(wire: Wire) -> None:
    ends = await asyncio.open_connection("127.0.0.1", wire.port)
    assert await said(ends, b"hello") == b"hello"
    ends[1].write_eof()
    assert await asyncio.wait_for(ends[0].read(100), timeout=5) == b""
    ends[1].close()


async def test_a_reset_breaks_what_is_open_and_nothing_that_comes_after(wire: Wire) -> None:
    ends = await asyncio.open_connection("127.0.0.1", wire.port)
    assert await said(ends, b"hello") == b"hello"
    wire.reset()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(ends[0].read(100), timeout=5)
    again = await asyncio.open_connection("127.0.0.1", wire.port)
    assert await said(again, b"hello") == b"hello"
    again[1].close()


async def test_a_half_open_connection_carries_nothing_until_its_silence_ends_in_a_reset(wire: Wire) -> None:
    ends = await asyncio.open_connection("127.0.0.1", wire.port)
    assert await said(ends, b"hello") == b"hello"
    wire.silence()
    ends[1].write(b"is anybody there?")
    again = await asyncio.open_connection("127.0.0.1", wire.port)
    assert await said(again, b"hello") == b"hello"
    waiting = asyncio.create_task(ends[0].read(100))
    done, _ = await asyncio.wait([waiting], timeout=0.3)
    assert not done
    await wire.end_silence()
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(waiting, timeout=5)
    assert await said(again, b"hello") == b"hello"
    again[1].close()


async def test_a_cut_wire_refuses_until_it_is_mended(wire: Wire) -> None:
    ends = await asyncio.open_connection("127.0.0.1", wire.port)
    await wire.cut()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", wire.port)
    await wire.mend()
    again = await asyncio.open_connection("127.0.0.1", wire.port)
    assert await said(again, b"hello") == b"hello"
    for each in (ends, again):
        each[1].close()


async def test_a_slow_wire_brings_everything_late(wire: Wire) -> None:
    ends = await asyncio.open_connection("127.0.0.1", wire.port)
    wire.delay_seconds = 0.2
    began = asyncio.get_running_loop().time()
    assert await said(ends, b"hello") == b"hello"
    assert asyncio.get_running_loop().time() - began >= 2 * wire.delay_seconds
    ends[1].close()
