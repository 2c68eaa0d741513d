"""Calling the portal: unsigned, as the bank does, and as faultily as the switches say."""

import asyncio
from datetime import datetime

import aiohttp

from bank_simulator.book import PARIS, Book, Operation
from bank_simulator.faults import Faults

TRIES = 3
PAUSE_SECONDS = 2


class Notices:
    """Sends notifications in the background and writes down what each call was answered."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._calls: set[asyncio.Task[None]] = set()

    def after_result(self, operation: Operation, faults: Faults) -> None:
        """Notify a result as the switches say."""
        wait = max(0.0, (datetime.fromisoformat(operation.result_told_at or "") - datetime.now(PARIS)).total_seconds())
        times = {"never": 0, "twice": 2, "ten_times": 10}.get(faults.notice, 1)
        if faults.notice == "early":
            wait = 0
        if faults.notice == "late":
            wait += faults.late_seconds
        for _ in range(times):
            self.send(operation, wait)

    def send(self, operation: Operation, wait_seconds: float = 0) -> None:
        """Call the portal once, after a while; tried again when it does not answer 200."""
        task = asyncio.create_task(self._send(operation, wait_seconds))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def stop(self) -> None:
        """Let go of what was not sent yet."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _send(self, operation: Operation, wait_seconds: float) -> None:
        await asyncio.sleep(wait_seconds)
        timeout = aiohttp.ClientTimeout(total=10)
        for attempt in range(TRIES):
            await asyncio.sleep(attempt * PAUSE_SECONDS)
            try:
                async with (
                    aiohttp.ClientSession(timeout=timeout) as http,
                    http.post(operation.asked["urlnotif"], data={"idop": operation.id_op}) as response,
                ):
                    said = str(response.status)
            except (TimeoutError, aiohttp.ClientError) as error:
                said = type(error).__name__
            operation.notices.append(f"{datetime.now(PARIS).isoformat()} {said}")
            self._book.write(operation)
            if said == "200":
                return
