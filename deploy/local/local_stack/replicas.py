"""Two replicas of a program behind one address, as a Service of Kubernetes has them, and their replacement one by one.

A replica is sent people once it has said that it is ready, and from then on as long as it says that it is live, as the
chart's probes have it: a broker that is away takes no replica away.

The balancer carries bytes and knows no HTTP: a connection goes to the next replica that says it is ready, and stays
there. It takes nothing back: a connection that a replica refuses or cuts is refused or cut for whoever made it.
"""

import asyncio
import time
from collections.abc import Mapping

import aiohttp

from local_stack.ports import claim_any
from local_stack.processes import Program
from local_stack.stack import READY_SECONDS, Stack

ASKED_EVERY_SECONDS = 0.5
END_SECONDS = 60
CHUNK_BYTES = 65_536


class Replica:
    """One process of a program, and whether it answered well when it was last asked."""

    def __init__(self, program: Program, port: int) -> None:
        self.program, self.port = program, port
        self.is_ready = self.has_started = self.is_leaving = False

    async def watch(self, http: aiohttp.ClientSession) -> None:
        """Ask again and again, as a kubelet does."""
        while True:
            path = "/health/live" if self.has_started else "/health/ready"
            try:
                async with http.get(f"http://127.0.0.1:{self.port}{path}") as response:
                    self.is_ready = response.status == 200 and not self.is_leaving
            except (TimeoutError, aiohttp.ClientError):
                self.is_ready = False
            self.has_started |= self.is_ready
            await asyncio.sleep(ASKED_EVERY_SECONDS)


class Replicas:
    """The replicas of one program of a stack, at the address that the stack's own program had."""

    def __init__(self, stack: Stack, name: str, *, drain_seconds: float, count: int = 2, **settings: str) -> None:
        """``settings`` are what each replica gets in the place of the stack's."""
        self.name, self._stack, self._count = name, stack, count
        self._settings = {**settings, "DRAIN_SECONDS": str(drain_seconds)}
        self.version: Mapping[str, str] = {}
        """What the environment of replicas that are added from now on says besides, such as where their code is."""
        self._all: list[Replica] = []
        self._watching: dict[Replica, asyncio.Task[None]] = {}
        self._http: aiohttp.ClientSession | None = None
        self._server: asyncio.Server | None = None
        self._carrying: set[asyncio.Task[None]] = set()
        self._turn = 0

    async def start(self) -> None:
        """Take the place of the stack's own program."""
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=6))
        await asyncio.gather(*(self._add() for _ in range(self._count)))
        await self._stack.programs[self.name].stop()
        port = self._stack.ports[self.name]
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", port, reuse_address=True)

    async def stop(self) -> None:
        """End the balancer and every replica."""
        if self._server:
            self._server.close()
        for task in self._watching.values():
            task.cancel()
        await asyncio.gather(*(each.program.stop() for each in self._all))
        await asyncio.gather(*self._carrying)  # what led to a replica has ended with it
        if self._http:
            await self._http.close()

    async def replace_oldest(self) -> float:
        """A new replica first; once it is ready the oldest is asked to end, and has to end well. The seconds it took.

        ``RuntimeError`` when it ends otherwise.
        """
        began, oldest = time.monotonic(), self._all[0]
        await self._add()
        oldest.is_leaving = True
        await oldest.program.stop(seconds=END_SECONDS)
        status = oldest.program.process.returncode if oldest.program.process else None
        if status != 0:
            raise RuntimeError(f"{self.name} ended with {status}:\n{oldest.program.tail()}")
        self._watching.pop(oldest).cancel()
        self._all.remove(oldest)
        return time.monotonic() - began

    @property
    def programs(self) -> list[Program]:
        """Its processes, to be killed or paused."""
        return [each.program for each in self._all]

    async def revive(self, number: int) -> None:
        """Start a replica again that has ended, however it did, at its own port."""
        replica = self._all[number]
        replica.is_ready = replica.has_started = False
        await replica.program.start()

    async def are_ready(self) -> None:
        """Wait for all of them."""
        await asyncio.gather(*(self._until_ready(each) for each in self._all))

    async def _add(self) -> None:
        assert self._http is not None, "replicas are added after the start"
        port = claim_any()
        program = self._stack.another(self.name, **{**self._settings, **self.version}, HTTP_PORT=str(port))
        replica = Replica(program, port)
        self._all.append(replica)
        await program.start()
        self._watching[replica] = asyncio.create_task(replica.watch(self._http))
        await self._until_ready(replica)

    async def _until_ready(self, replica: Replica) -> None:
        give_up = time.monotonic() + READY_SECONDS
        while not replica.is_ready:
            if time.monotonic() > give_up or not replica.program.is_running:
                raise RuntimeError(f"{self.name} does not start:\n{replica.program.tail()}")
            await asyncio.sleep(0.05)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        try:
            ready = [each for each in self._all if each.is_ready]
            if not ready:
                return
            self._turn += 1
            far_reader, far = await asyncio.open_connection("127.0.0.1", ready[self._turn % len(ready)].port)
            await asyncio.gather(_pass_on(reader, far), _pass_on(far_reader, writer))
        except OSError:
            writer.transport.abort()  # whoever connected sees what it would see without us
        finally:
            writer.close()
            self._carrying.discard(task)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Every byte, then the end; an end that comes by force goes on by force."""
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    except OSError:
        writer.transport.abort()
    finally:
        writer.close()
