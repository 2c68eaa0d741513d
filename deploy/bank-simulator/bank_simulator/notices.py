"""Calling the portal as each protocol does, and as faultily as the switches say."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

import aiohttp

from bank_simulator import lyra, paybox, stripe
from bank_simulator.book import PARIS, Book, Operation
from bank_simulator.faults import Faults

TRIES = 3
PAUSE_SECONDS = 2
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Call(NamedTuple):
    """How the portal is called."""

    url: str
    body: bytes
    headers: Mapping[str, str] = FORM
    method: str = "POST"


class Notices:
    """Sends notifications in the background and writes down what each call was answered."""

    def __init__(
        self,
        book: Book,
        faults: Faults,
        shops: Mapping[str, lyra.Shop],
        contracts: Sequence[paybox.Contract],
        accounts: Sequence[stripe.Account],
    ) -> None:
        self._book, self._faults = book, faults
        self._shops, self._contracts, self._accounts = shops, contracts, accounts
        self._calls: set[asyncio.Task[None]] = set()

    def after_result(self, operation: Operation) -> None:
        """Notify a result as the switches say."""
        told_at = datetime.fromisoformat(operation.result_told_at or "")
        self.after(operation, "result", max(0.0, (told_at - datetime.now(PARIS)).total_seconds()))

    def after(self, operation: Operation, kind: str, wait: float = 0) -> None:
        """Notify what happened, as the switches say; ``kind`` is ``result`` or what befell it later."""
        faults = self._faults
        times = {"never": 0, "twice": 2, "ten_times": 10}.get(faults.notice, 1)
        if faults.notice == "early":
            wait = 0
        if faults.notice == "late":
            wait += faults.late_seconds
        for _ in range(times):
            self.send(operation, wait, kind)

    def send(self, operation: Operation, wait_seconds: float = 0, kind: str = "result") -> None:
        """Call the portal once, after a while; tried again when it does not answer 200."""
        task = asyncio.create_task(self._send(operation, wait_seconds, kind))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def stop(self) -> None:
        """Let go of what was not sent yet."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _written(self, operation: Operation, kind: str) -> Call:
        """Where a notification goes and what it says: PayFiP's names the operation only, the others' tell and sign."""
        asked, faults = operation.asked, self._faults
        match operation.protocol:
            case "lyra":
                return Call(
                    asked["vads_url_check"], lyra.notice(operation, self._shops[asked["vads_site_id"]], faults, kind)
                )
            case "paybox":
                contract = paybox.find(self._contracts, asked)
                assert contract is not None, "the page was opened for a contract that is known"
                method, url, body = paybox.notice(operation, contract, faults)
                return Call(url, body, FORM if body else {}, method)
            case "stripe":
                account = next(each for each in self._accounts if each["account"] == asked["account"])
                body = stripe.event(kind, operation, account, faults)
                return Call(account["webhook_url"], body, stripe.headers(body, account, faults))
        return Call(asked["urlnotif"], urlencode({"idop": operation.id_op}).encode("ascii"))

    async def _send(self, operation: Operation, wait_seconds: float, kind: str) -> None:
        await asyncio.sleep(wait_seconds)
        timeout, call = aiohttp.ClientTimeout(total=10), self._written(operation, kind)
        for attempt in range(TRIES):
            await asyncio.sleep(attempt * PAUSE_SECONDS)
            try:
                async with (
                    aiohttp.ClientSession(timeout=timeout) as http,
                    http.request(call.method, call.url, data=call.body or None, headers=call.headers) as response,
                ):
                    said = str(response.status)
            except (TimeoutError, aiohttp.ClientError) as error:
                said = type(error).__name__
            operation.notices.append(f"{datetime.now(PARIS).isoformat()} {said}")
            self._book.write(operation)
            if said == "200":
                return
