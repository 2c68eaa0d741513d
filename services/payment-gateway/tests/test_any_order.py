"""Whatever happens in whatever order: seeded stories at each bank."""

import asyncio
import random
from typing import Any

import pytest

from chassis.testing import eventually


class Story:
    """One payment through whatever happens, in an order drawn from a seed."""

    DEEDS = ("page", "pay", "refuse", "abandon", "notify", "return", "sweep", "give_up", "forge", "nothing_known")

    def __init__(self, till: Any, payment: dict[str, Any]) -> None:
        self.till, self.payment = till, payment

    async def does(self, deed: str) -> None:
        till, payment = self.till, self.payment
        path = f"/payments/{payment['payment_id']}"
        match deed:
            case "page":
                if not await self._has_result():
                    await till.opens_page(payment)
            case "pay" | "refuse" | "abandon":
                await till.at_bank(payment, deed)
            case "notify":
                if await self._has_result():
                    await till.at_bank(payment, "notify")
            case "return":
                assert (await till.client.post(f"{path}/look-up", headers=till.parent())).status in {200, 503}
            case "sweep":
                await till.sql("UPDATE payment SET look_up_at = now() WHERE look_up_at IS NOT NULL")
                await till.sql("SELECT pg_notify('look_up_due', '')")
            case "give_up":
                answer = await till.client.post(f"{path}/abandon", headers=till.parent())
                assert answer.status in {200, 409, 503}
            case "forge":
                forged = f"idop={till.id_op(payment)}&vads_order_id=X&signature=AAAA".encode()
                assert (await till.client.post(till.webhook, data=forged)).status in {200, 400, 503}
            case "nothing_known":
                assert (await till.client.post(till.webhook, data=b"idop=never-heard-of")).status in {400, 404, 503}

    async def _has_result(self) -> bool:
        book = await self.till.bank.book()
        return any(each["id_op"] == self.till.id_op(self.payment) and each["result"] for each in book)

    async def is_known(self) -> bool:
        """The bank is asked, or said what it has to say where it cannot be."""
        if not self.till.can_be_asked:
            if await self._has_result():
                await self.till.at_bank(self.payment, "notify")
                await self.till.becomes(self.payment, await self._ends_as())
            return True
        path = f"/payments/{self.payment['payment_id']}/look-up"
        return (await self.till.client.post(path, headers=self.till.keeper())).status == 200

    async def _ends_as(self) -> str:
        results = {each["id_op"]: each["result"] for each in await self.till.bank.book()}
        return {"P": "confirmed", "R": "refused", "A": "cancelled"}[results[self.till.id_op(self.payment)]]

    async def took_money(self) -> bool:
        book = await self.till.bank.book()
        return any(each["id_op"] == self.till.id_op(self.payment) and each["result"] == "P" for each in book)


@pytest.mark.every_bank
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_in_whatever_order_the_money_is_right(till: Any, seed: int) -> None:
    draw = random.Random(seed)
    await till.bank.faults(notice="never")
    stories = [Story(till, await till.begin()) for _ in range(6)]
    for _ in range(14):
        deeds = [(story, draw.choice(Story.DEEDS)) for story in stories for _ in range(draw.randint(0, 2))]
        await asyncio.gather(*(story.does(deed) for story, deed in deeds))
    paid = 0
    for story in stories:
        await eventually(story.is_known)
        took = await story.took_money()
        paid += took
        assert ((await till.get(story.payment))["status"] == "confirmed") == took, f"seed {seed}"
    assert await till.sql("SELECT count(*) FROM payment_move WHERE to_status = 'confirmed'") == paid
    assert await till.sql("SELECT coalesce(max(last_number), 0) FROM ticket_series") == paid
    for _ in range(paid):
        await till.probe.next("payment.confirmed")
    await till.probe.none("payment.confirmed")
