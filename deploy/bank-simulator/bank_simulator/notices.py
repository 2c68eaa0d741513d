"""Calling the portal as each protocol does, and as faultily as the switches say."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

import aiohttp

from bank_simulator import lyra
from bank_simulator.book import PARIS, Book, Operation
from bank_simulator.faults import Faults

TRIES = 3
PAUSE_SECONDS = 2
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Notices:
    """Sends notifications in the background and writes down what each call was answered."""

    def __init__(self, book: Book, faults: Faults, shops: Mapping[str, lyra.Shop]) -> None:
        self._book, self._faults, self._shops = book, faults, shops
        self._calls: set[asyncio.Task[None]] = set()

    def after_result(self, operation: Operation) -> None:
        """Notify a result as the switches say."""
        faults = self._faults
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

    def _written(self, operation: Operation) -> tuple[str, bytes]:
        """Where a notification goes and what it says: PayFiP's tells the operation only, Lyra's all of it, signed."""
        if not operation.is_lyra:
            return operation.asked["urlnotif"], urlencode({"idop": operation.id_op}).encode("ascii")
        shop = self._shops[operation.asked["vads_site_id"]]
        return operation.asked["vads_url_check"], lyra.notice(operation, shop, self._faults)

    async def _send(self, operation: Operation, wait_seconds: float) -> None:
        await asyncio.sleep(wait_seconds)
        timeout, (url, body) = aiohttp.ClientTimeout(total=10), self._written(operation)
        for attempt in range(TRIES):
            await asyncio.sleep(attempt * PAUSE_SECONDS)
            try:
                async with (
                    aiohttp.ClientSession(timeout=timeout) as http,
                    http.post(url, data=body, headers=FORM) as response,
                ):
                    said = str(response.status)
            except (TimeoutError, aiohttp.ClientError) as error:
                said = type(error).__name__
            operation.notices.append(f"{datetime.now(PARIS).isoformat()} {said}")
            self._book.write(operation)
            if said == "200":
                return
