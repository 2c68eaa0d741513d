"""Whatever happens to a household's money, in whatever order, its account is what anybody would have noted on paper."""

from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest

from billing.__main__ import verify
from chassis.clock import now, today
from contracts.events.payment import PaymentConfirmed, PaymentRefunded, PaymentRefundUndone, PaymentReturned, ReturnKind

PRICE = 425
STEPS = 30


@dataclass
class Paper:
    """A household, what was done to it on the real service, and the same noted in the simplest way."""

    town: Any
    household: UUID
    random: Random
    invoiced: int = 0
    credited: int = 0
    money: int = 0
    days: int = 0
    payments: list[tuple[PaymentConfirmed, int]] = field(default_factory=list)

    @property
    def owes(self) -> int:
        """What the household owes less what the town owes it."""
        return self.invoiced - self.credited - self.money

    async def all(self) -> list[dict[str, Any]]:
        found = await self.town.invoices(self.household)
        return [*found["to_pay"], *found["paid"]]

    async def publish(self) -> None:
        count = self.random.randint(1, 3)
        await self.town.uses(self.household, *range(self.days, self.days + count))
        self.days += count
        self.invoiced += (await self.town.run())["total_cents"]

    async def pay(self) -> None:
        """By card: too little, enough, or too much."""
        due = [each["invoice_id"] for each in (await self.town.invoices(self.household))["to_pay"]]
        if not due:
            return
        opened = await self.town.opened(self.household, *due)
        cents = max(1, opened["amount_cents"] + self.random.choice([-200, 0, 0, 300]))
        event = self.town.confirmed(self.household, opened["checkout_id"], cents)
        await self.told(event, f"payment/{event.payment_id}")
        self.money += cents
        self.payments.append((event, cents))

    async def counter(self) -> None:
        cents = self.random.randint(1, 900)
        body = {"means": "cheque", "amount_cents": cents, "received_on": str(today()), "keep_surplus": True}
        answer = await self.town.decides(self.household, "receipts", body)
        assert answer.status == 201, await answer.text()
        self.money += cents

    async def credit(self) -> None:
        found = [each for each in await self.all() if each["total_cents"] > each["credited_cents"]]
        if not found:
            return
        invoice = self.random.choice(found)
        cents = self.random.randint(1, invoice["total_cents"] - invoice["credited_cents"])
        path = f"invoices/{invoice['invoice_id']}/credit-notes"
        assert (await self.town.decides(self.household, path, {"amount_cents": cents, "reason": "Geste"})).status == 201
        self.credited += cents

    async def give_credit_back(self) -> None:
        credit = (await self.town.invoices(self.household))["credit_cents"]
        if credit:
            cents = self.random.randint(1, credit)
            body = {"means": "transfer", "amount_cents": cents, "reference": "VIR"}
            assert (await self.town.decides(self.household, "refunds", body)).status == 201
            self.money -= cents

    async def take_back(self) -> None:
        """The town refunds a part of a card payment, or the bank takes back all that is left of it."""
        if not self.payments:
            return
        event, left = self.payments.pop(self.random.randrange(len(self.payments)))
        who = {name: getattr(event, name) for name in ("payment_id", "checkout_id", "household_id", "payer_id")}
        if self.random.random() < 0.5:
            cents = self.random.randint(1, left)
            more = {"refund_id": uuid4(), "refunded_cents": cents, "was_confirmed": True, "refunded_at": now()}
            await self.told(PaymentRefunded(**who, amount_cents=cents, **more), f"refund/{more['refund_id']}")
            if self.random.random() < 0.3:  # the bank gave it up days later
                undone = {"decision_id": uuid4(), "refunded_cents": 0, "undone_at": now()}
                key = f"refund-undone/{undone['decision_id']}"
                await self.told(PaymentRefundUndone(**who, amount_cents=cents, **undone), key)
                self.money += cents
                left += cents
            if left > cents:
                self.payments.append((event, left - cents))
        else:
            cents = left
            returned = PaymentReturned(**who, amount_cents=cents, how=ReturnKind.CHARGED_BACK, returned_at=now())
            await self.told(returned, f"returned/{event.payment_id}")
        self.money -= cents

    async def told(self, event: Any, key: str) -> None:
        """Twice, as a broker may."""
        for _ in range(2):
            await self.town.probe.publish(event)
        await self.town.until("SELECT count(*) FROM ledger_transaction WHERE key = $1", 1, key)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_any_sequence_keeps_every_balance_right_and_the_numbers_gapless(
    town: Any, capsys: Any, seed: int
) -> None:
    paper = Paper(town, await town.household(), Random(seed))
    await paper.publish()
    ways = [paper.pay, paper.pay, paper.counter, paper.credit, paper.give_credit_back, paper.take_back]
    for _ in range(STEPS):
        if paper.days < 20 and paper.random.random() < 0.2:
            await paper.publish()
        else:
            await paper.random.choice(ways)()
        found = await town.invoices(paper.household)
        assert sum(each["left_cents"] for each in found["to_pay"]) - found["credit_cents"] == paper.owes
        assert all(0 <= each["left_cents"] <= each["total_cents"] for each in await paper.all())
    journal = await (await town.client.get("/journal", headers=town.staff())).json()
    assert journal["total_cents"] == paper.money
    for series, what in (("", "invoice"), ("A-", "credit_note"), ("R-", "receipt")):
        numbers = await town.sql(f"SELECT array_agg(number ORDER BY number) FROM {what}") or []
        assert numbers == [f"{series}{today().year}-{number:06d}" for number in range(1, len(numbers) + 1)]
    assert await verify(town.settings, []) == 0, capsys.readouterr().out
