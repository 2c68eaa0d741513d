"""A connection to the broker, re-established for as long as the program runs."""

import asyncio
import contextlib

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection

from chassis.broker.messages import AWAY, CONFIRM_SECONDS
from chassis.tasks import cancel_and_wait, run_forever

CLOSE_SECONDS = 3

log = structlog.get_logger()


class Link:
    """One connection that reconnects with a growing pause; callers wait until it is up."""

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._name = name
        self._connection: AbstractConnection | None = None
        self._up = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start connecting in the background."""
        self._running = run_forever(self._run, f"broker connection {self._name}")

    async def stop(self) -> None:
        """Close the connection."""
        if self._running:
            await cancel_and_wait(self._running)

    @property
    def is_up(self) -> bool:
        return self._up.is_set()

    async def is_blocked(self) -> bool:
        """Whether the broker blocks publishers because of a memory or disk alarm."""
        try:
            async with asyncio.timeout(0):
                await self._unblocked()
        except TimeoutError:
            return True
        return False

    async def channel(self, *, prefetch: int | None = None) -> AbstractChannel:
        """A new channel with publisher confirms, once the connection is up."""
        await self._up.wait()
        if self._connection is None:
            raise ConnectionError("the broker connection was just lost")
        channel = self._connection.channel(publisher_confirms=True, on_return_raises=True)
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                await channel.initialize()
                if prefetch:
                    await channel.set_qos(prefetch_count=prefetch)
        except BaseException:
            await close(channel)
            raise
        return channel

    async def free_channel(self) -> AbstractChannel:
        """A new channel to publish over, once the connection is up and not blocked."""
        await self._up.wait()
        await self._unblocked()
        return await self.channel()

    async def _unblocked(self) -> None:
        transport = self._connection.transport if self._connection else None
        if transport:
            await transport.connection.ready()

    async def _run(self) -> None:
        pause = 0.2
        while True:
            try:
                async with asyncio.timeout(15):
                    self._connection = await aio_pika.connect(
                        self._url, timeout=10, client_properties={"connection_name": self._name}
                    )
                closed = asyncio.Event()
                self._connection.close_callbacks.add(lambda *_, closed=closed: closed.set())
                log.info("broker connected", connection=self._name)
                self._up.set()
                pause = 0.2
                await closed.wait()
                log.warning("broker connection lost", connection=self._name)
            except AWAY as error:
                log.warning("broker away", connection=self._name, error=str(error), pause_seconds=pause)
            finally:
                self._up.clear()
                await self._drop_connection()
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5)

    async def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            with contextlib.suppress(*AWAY):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await connection.close()


async def close(channel: AbstractChannel) -> None:
    """Close a channel, waiting a few seconds at most."""
    if not channel.is_closed:
        with contextlib.suppress(*AWAY):
            async with asyncio.timeout(CLOSE_SECONDS):
                await channel.close()
