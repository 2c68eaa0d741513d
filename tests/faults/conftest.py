"""A parent's browser on the whole portal, and what the bank and the mail server saw."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from chassis.testing import eventually
from local_stack.browser import INVOICE, KEY, Browser
from local_stack.stack import Stack


class Family(Browser):
    """One family, signed in, and its way to the bank."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession, identifier: str) -> None:
        super().__init__(stack.gateway_url, http)
        self.stack, self.identifier = stack, identifier
        self.email = f"{identifier}@example.org"

    async def sign_in(self) -> None:
        assert await self.give_codes(self.identifier) == 303

    async def begin(self, most: int | None = None) -> str:
        """Go to the bank's page with every invoice, or ``most`` of them; the bank's reference."""
        _, page = await self.get("/factures")
        found = INVOICE.findall(page)
        chosen = "&".join(f"facture={each}" for each in found[:most])
        _, recap = await self.get(f"/factures/recapitulatif?{chosen}")
        fields = [("facture", each) for each in INVOICE.findall(recap)] + [("key", KEY.findall(recap)[0])]
        status, text, location = await self.post("/paiements", recap, fields)
        assert status == 303, text
        return location.partition("idop=")[2]

    async def bank(self, id_op: str, action: str) -> None:
        async with self.http.post(f"{self.stack.url('bank')}/api/operations/{id_op}/{action}") as response:
            assert response.status == 200

    async def bank_faults(self, **faults: Any) -> None:
        async with self.http.put(f"{self.stack.url('bank')}/api/faults", json=faults) as response:
            assert response.status == 200

    async def notify(self, id_op: str) -> int:
        url = f"{self.stack.gateway_url}/webhooks/payfip"
        async with self.http.post(url, data={"idop": id_op}) as response:
            return response.status

    async def mails(self) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.stack.url('mail')}/api/mails") as response:
            return [each for each in await response.json() if each["to"] == self.email]

    async def sql(self, service: str, query: str, *arguments: Any) -> Any:
        connection = await asyncpg.connect(self.stack.databases[service])
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    async def payment_id(self, id_op: str) -> Any:
        query = "SELECT payment_id FROM payment WHERE bank_reference = $1"
        return await self.sql("payment-gateway", query, id_op)

    async def is_settled_once(self, id_op: str) -> None:
        """One confirmation, one settlement, one mail; and still so a moment later."""
        payment_id = await self.payment_id(id_op)

        async def arrived() -> bool:
            settled = await self.sql("billing", SETTLEMENTS, f"payment/{payment_id}")
            return bool(settled == 1 and await self.mails())

        await eventually(arrived, seconds=90)
        await asyncio.sleep(1)
        assert await self.sql("billing", SETTLEMENTS, f"payment/{payment_id}") == 1
        assert len(await self.mails()) == 1
        confirmations = "SELECT count(*) FROM payment_move WHERE payment_id = $1 AND to_status = 'confirmed'"
        assert await self.sql("payment-gateway", confirmations, payment_id) == 1
        assert await self.sql("billing", "SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry") == 0
        _, page = await self.get("/factures")
        assert "Vous n&#39;avez rien à régler" in page or "Vous n'avez rien à régler" in page


SETTLEMENTS = "SELECT count(*) FROM ledger_transaction WHERE key = $1"


@pytest.fixture
def family_of() -> type[Family]:
    """To make more families than one, each with a client of its own."""
    return Family


@pytest_asyncio.fixture(loop_scope="module")
async def family(stack: Stack, request: pytest.FixtureRequest) -> AsyncIterator[Family]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        made = Family(stack, http, request.param)
        await made.bank_faults(notice="once", amount_offset_cents=0, service_down=False, answer_delay_seconds=0)
        await made.sign_in()
        yield made
