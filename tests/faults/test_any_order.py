"""Whatever happens to payments, in any order and number, on the whole portal: the money is right.

Hypothesis draws the story: parents begin, pay, refuse, give up and try again; the bank notifies, or is away; forged
calls come; the clock, parents and staff have the bank asked; programs are killed and come back. In the end a payment is
confirmed exactly when the bank took its money, with one event, one settlement, one ticket and one mail.
``STORIES=50 pytest tests/faults/test_any_order.py`` tells that many at each bank.
"""

import asyncio
import os
import re
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import aiohttp
import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule, run_state_machine_as_test

from chassis.testing import eventually
from local_stack import demo
from local_stack.banks import CONTRACT, LYRA_SHOP, LYRA_TILL, PAYBOX_TILL, STRIPE_TILL
from local_stack.browser import BANK_FORM, INVOICE, KEY, Browser, form_of
from local_stack.stack import Stack

STORIES = int(os.environ.get("STORIES", "5"))
DEEDS = 25
FAMILIES = 12
TOLD_SECONDS = 120
"""Until everybody has heard: a mail that was in the hands of a killed notifier is free again after its lease, 60 s."""
PAGE = re.compile(r"/paiements/([\w-]{36})")
KILLED = ("payment-gateway", "billing", "notifier", "gateway")

pytestmark = [pytest.mark.drill, pytest.mark.faults, pytest.mark.timeout(900)]

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class AtBank:
    """How a bank goes: its webhook, where its form is posted (None when its page is an address), its names' start.

    A bank that cannot be asked says in the end what it has to say, where the others are asked.
    """

    webhook: str
    form_path: str | None = None
    prefix: str = ""
    can_be_asked: bool = True


SITE = f"{CONTRACT['site']}-{CONTRACT['rank']}"
BANKS = {
    "REGIE-ENFANCE": AtBank("payfip"),
    LYRA_TILL: AtBank(f"lyra-{LYRA_SHOP}", "/vads-payment/", f"{LYRA_SHOP}-"),
    PAYBOX_TILL: AtBank(f"paybox-{SITE}", "/cgi/FramepagepaiementRWD.cgi", f"{SITE}-", can_be_asked=False),
    STRIPE_TILL: AtBank("stripe-demo"),
}


@dataclass(frozen=True)
class Attempt:
    """A payment, its number among those of the bank, the family's place in the demo, and the bank's page, if linked."""

    payment_id: UUID
    id_op: str
    family: int
    invoice: str
    page_url: str


class World:
    """The whole portal, its families' browsers and the till keeper's, driven from another thread's loop."""

    def __init__(self, till: str) -> None:
        self.stack = Stack(Path(tempfile.mkdtemp(prefix="preau-order-")), durable=False, till=till)
        self.at_bank = BANKS[till]
        self.dead: set[str] = set()
        self.families: list[Browser] = []
        self.attempts: list[Attempt] = []
        self._free: list[tuple[int, str]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def does(self, deed: Coroutine[Any, Any, Answer]) -> Answer:
        """Do it and wait for it."""
        return asyncio.run_coroutine_threadsafe(deed, self._loop).result(300)

    def open(self) -> None:
        self._thread.start()
        self.does(self._open())

    async def _open(self) -> None:
        await self.stack.start()
        await demo.fill(self.stack)
        timeout = aiohttp.ClientTimeout(total=30)
        for identifier in [*(f"demo{number:02d}" for number in range(1, FAMILIES + 1)), "regie"]:
            http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=timeout)
            self.families.append(Browser(self.stack.gateway_url, http))
            assert await self.families[-1].give_codes(identifier) == 303

    def close(self) -> None:
        self.does(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        for each in self.families:
            await each.http.close()
        await self.stack.stop()
        self.stack.forget()

    async def sql(self, service: str, query: str, *arguments: Any) -> Any:
        connection = await asyncpg.connect(self.stack.databases[service])
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    async def bank(self, path: str, **more: Any) -> Any:
        url, method = f"{self.stack.url('bank')}{path}", more.pop("method", "POST")
        async with self.families[0].http.request(method, url, **more) as response:
            return await response.json() if response.content_type == "application/json" else response.status

    async def kill(self, name: str) -> None:
        await self.stack.kill(name)
        self.dead.add(name)

    async def revive(self) -> None:
        for name in sorted(self.dead):
            await self.stack.restart(name)
        self.dead.clear()

    async def free_invoice(self) -> tuple[int, str]:
        """An invoice that no payment was begun for, and its family."""
        if not self._free:
            used = {attempt.invoice for attempt in self.attempts}
            if self.attempts:
                await demo.owe(self.stack)
            for family, browser in enumerate(self.families[:FAMILIES]):
                _, page = await browser.get("/factures")
                self._free += [(family, each) for each in INVOICE.findall(page) if each not in used]
        return self._free.pop(0)

    async def begin(self, family: int, invoice: str) -> Attempt | None:
        """« Payer en ligne »; None when another payment has the invoice, or it is settled."""
        await self.revive()
        browser = self.families[family]
        _, page = await browser.get(f"/factures/recapitulatif?facture={invoice}")
        keys = KEY.findall(page)
        if not keys:
            return None
        status, _, leads = await browser.post("/paiements", page, [("facture", invoice), ("key", keys[0])])
        if status != 303:
            return None
        found, reference = PAGE.search(leads), re.split(r"idop=|/pay/", leads)[-1]
        query = "SELECT payment_id FROM payment WHERE bank_reference = $1"
        payment_id = UUID(found[1]) if found else await self.sql("payment-gateway", query, reference)
        if any(attempt.payment_id == payment_id for attempt in self.attempts):
            return None
        query = "SELECT bank_reference FROM payment WHERE payment_id = $1"
        reference = await self.sql("payment-gateway", query, payment_id)
        page_url = "" if self.at_bank.form_path else leads.removeprefix(self.stack.url("bank"))
        attempt = Attempt(payment_id, self.at_bank.prefix + reference, family, invoice, page_url)
        self.attempts.append(attempt)
        return attempt

    async def opens_page(self, attempt: Attempt) -> None:
        """The payer's browser arrives at the bank, as far as the portal still sends it there."""
        if self.at_bank.form_path is None:
            await self.bank(attempt.page_url, method="GET")
            return
        _, page = await self.families[attempt.family].get(f"/paiements/{attempt.payment_id}/banque")
        if BANK_FORM in page:
            await self.bank(self.at_bank.form_path, data=form_of(page, BANK_FORM)[1])

    async def book(self) -> dict[str, str | None]:
        """Every operation at the bank and its result."""
        return {each["id_op"]: each["result"] for each in await self.bank("/api/book", method="GET")}

    async def mails(self) -> list[dict[str, Any]]:
        async with self.families[0].http.get(f"{self.stack.url('mail')}/api/mails") as response:
            found: list[dict[str, Any]] = await response.json()
            return found

    async def asked_by_staff(self, attempt: Attempt) -> bool:
        """« Réinterroger la banque », until it says something."""
        keeper, path = self.families[-1], f"/mairie/paiements/{attempt.payment_id}"
        _, page = await keeper.get(path)
        return (await keeper.post(f"{path}/banque", page, []))[0] == 303

    async def is_told(self, attempt: Attempt) -> bool:
        """All that the bank has to say of an attempt is known here: asked, or notified where it cannot be asked."""
        if self.at_bank.can_be_asked:
            return await self.asked_by_staff(attempt)
        if (await self.book()).get(attempt.id_op):
            await self.bank(f"/api/operations/{attempt.id_op}/notify")
        return True

    async def forge(self, attempt: Attempt) -> None:
        """Somebody who knows the bank's number of a payment says that it is paid."""
        body = {"idop": attempt.id_op, "vads_trans_status": "AUTHORISED", "signature": "AAAA"}
        body |= {"amount": "1", "ref": attempt.payment_id.hex.upper(), "error": "00000", "sign": "AAAA"}
        url, headers = f"{self.stack.gateway_url}/webhooks/{self.at_bank.webhook}", {"Stripe-Signature": "t=1,v1=aa"}
        async with self.families[0].http.post(url, data=body, headers=headers) as response:
            assert response.status in {200, 400, 404, 503}

    async def give_up(self, attempt: Attempt) -> None:
        browser, path = self.families[attempt.family], f"/paiements/{attempt.payment_id}"
        _, page = await browser.get(path)
        await browser.post(f"{path}/annulation", page, [])

    async def is_right(self, attempt: Attempt) -> None:
        """What the bank's book says is what every service says."""
        took = (await self.book()).get(attempt.id_op) in {"P", "V"}

        async def facts() -> bool:
            return await self._facts(attempt) == ((1,) * 5 if took else (0,) * 5)

        try:
            await eventually(facts, seconds=TOLD_SECONDS)
        except TimeoutError:
            found = await self._facts(attempt)
            told = f"took money {took}, but confirmed, told, settled, ticket, mail {found}"
            raise AssertionError(f"{attempt}: {told}") from None

    async def _facts(self, attempt: Attempt) -> tuple[int, ...]:
        """How often it was confirmed, told as an event, settled in the ledger, given a ticket, mailed."""
        pay, by_id = "payment-gateway", "WHERE payment_id = $1"
        moves = f"SELECT count(*)::int FROM payment_move {by_id} AND to_status = 'confirmed'"
        ticket = f"SELECT count(ticket_number)::int FROM payment {by_id} AND status = 'confirmed'"
        events = "SELECT count(*)::int FROM outbox WHERE type = 'payment.confirmed' AND subject = $1"
        ledger = "SELECT count(*)::int FROM ledger_transaction WHERE key = $1"
        mails = (
            "SELECT count(*)::int FROM mail WHERE event ->> 'payment_id' = $1 AND kind = 'ticket' AND status = 'sent'"
        )
        return (
            await self.sql(pay, moves, attempt.payment_id),
            await self.sql(pay, events, f"payment/{attempt.payment_id}"),
            await self.sql("billing", ledger, f"payment/{attempt.payment_id}"),
            await self.sql(pay, ticket, attempt.payment_id),
            await self.sql("notifier", mails, str(attempt.payment_id)),
        )

    async def everything_adds_up(self) -> int:
        """Over all stories: one event a confirmation, no invoice settled twice, one letter a ticket; how many."""
        confirmed = await self.sql("payment-gateway", "SELECT count(*) FROM payment WHERE status = 'confirmed'")
        heard = "SELECT count(*) FROM inbox WHERE listener = $1"
        assert await self.sql("billing", heard, "billing.settle-invoices") == confirmed
        assert await self.sql("notifier", heard, "notifier.mail-ticket") == confirmed
        numbers = "SELECT coalesce(sum(last_number), 0) FROM ticket_series"
        assert await self.sql("payment-gateway", numbers) == confirmed
        twice = "SELECT count(*) FROM (SELECT FROM settlement GROUP BY invoice_id HAVING count(*) > 1) s"
        assert await self.sql("payment-gateway", twice) == 0
        assert await self.sql("billing", "SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry") == 0
        letters = {each["message_id"] for each in await self.mails() if "justificatif" in str(each["attachments"])}
        assert len(letters) == confirmed
        return int(confirmed)


@contextmanager
def world_of(till: str) -> Iterator[World]:
    made = World(till)
    made.open()
    try:
        yield made
    finally:
        made.close()


class Story(RuleBasedStateMachine):
    """What may happen; each deed may fail as it would in life, and the next goes on.

    There is one rule, which draws the deed: Hypothesis leaves some rules out of each story, and here all must mix.
    """

    attempts = Bundle("attempts")
    DEEDS = ("begin", "begin_again", "decide pay", "decide pay", "decide refuse", "decide abandon", "notify", "notify")
    DEEDS += ("forge", "come_back", "staff_ask", "give_up", "sweep", "bank away", "bank back", "revive")
    DEEDS += tuple(f"kill {name}" for name in KILLED)

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.mine = world, list[Attempt]()

    @initialize(target=attempts)
    def two_payments_begin(self) -> Any:
        begun = [self._begin() for _ in range(2)]
        return multiple(*(each for each in begun if each))

    @rule(target=attempts, deed=st.sampled_from(DEEDS), attempt=attempts)
    def happens(self, deed: str, attempt: Attempt) -> Any:
        name, _, how = deed.partition(" ")
        return getattr(self, f"_{name}")(attempt, how) or multiple()

    def _bank(self, _attempt: Attempt | None = None, how: str = "back") -> None:
        faults = {"notice": "never", "service_down": how == "away"}
        self.world.does(self.world.bank("/api/faults", method="PUT", json=faults))

    def _begin(self, _attempt: Attempt | None = None, _how: str = "") -> Attempt | None:
        return self._begun(*self.world.does(self.world.free_invoice()))

    def _begin_again(self, attempt: Attempt, _how: str) -> Attempt | None:
        return self._begun(attempt.family, attempt.invoice)

    def _begun(self, family: int, invoice: str) -> Attempt | None:
        self._bank()
        attempt = self.world.does(self.world.begin(family, invoice))
        if attempt:
            self.mine.append(attempt)
        return attempt

    def _try(self, deed: Coroutine[Any, Any, Any]) -> None:
        """A killed program answers nobody: the deed is lost, as a click is."""
        try:
            self.world.does(deed)
        except (aiohttp.ClientError, TimeoutError, IndexError):
            return

    def _decide(self, attempt: Attempt, action: str) -> None:
        """What the payer does on the bank's page; a first result stays."""
        self._try(self.world.opens_page(attempt))
        if attempt.id_op in self.world.does(self.world.book()):
            self.world.does(self.world.bank(f"/api/operations/{attempt.id_op}/{action}"))

    def _notify(self, attempt: Attempt, _how: str) -> None:
        """The bank calls twice, and again while nobody answers."""
        if self.world.does(self.world.book()).get(attempt.id_op):
            for _ in range(2):
                self.world.does(self.world.bank(f"/api/operations/{attempt.id_op}/notify"))

    def _forge(self, attempt: Attempt, _how: str) -> None:
        self._try(self.world.forge(attempt))

    def _come_back(self, attempt: Attempt, _how: str) -> None:
        self._try(self.world.families[attempt.family].get(f"/paiements/{attempt.payment_id}/retour"))

    def _staff_ask(self, attempt: Attempt, _how: str) -> None:
        self._try(self.world.asked_by_staff(attempt))

    def _give_up(self, attempt: Attempt, _how: str) -> None:
        self._try(self.world.give_up(attempt))

    def _sweep(self, _attempt: Attempt, _how: str) -> None:
        due = "UPDATE payment SET look_up_at = now() WHERE look_up_at > now()"
        for query in (due, "SELECT pg_notify('look_up_due', '')"):
            self.world.does(self.world.sql("payment-gateway", query))

    def _kill(self, _attempt: Attempt, name: str) -> None:
        self.world.does(self.world.kill(name))

    def _revive(self, _attempt: Attempt, _how: str) -> None:
        self.world.does(self.world.revive())

    def one_who_pays(self) -> None:
        """A story without chance, told first: whatever the others draw, this bank has taken money."""
        attempt = self._begin()
        assert attempt is not None
        self._decide(attempt, "pay")
        self._notify(attempt, "")
        self.teardown()

    def teardown(self) -> None:
        """Everything runs again, the bank is asked about each: now all must agree."""
        self.world.does(self.world.revive())
        self._bank()
        for attempt in self.mine:
            self.world.does(eventually(lambda attempt=attempt: self.world.is_told(attempt)))
        for attempt in self.mine:
            self.world.does(self.world.is_right(attempt))
        self.world.does(self.world.everything_adds_up())


@pytest.mark.parametrize("till", BANKS)
def test_whatever_happens_in_any_order_the_money_is_right(till: str) -> None:
    payload = settings(
        max_examples=STORIES,
        stateful_step_count=DEEDS,
        derandomize=STORIES <= 5,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    with world_of(till) as world:
        Story(world).one_who_pays()
        run_state_machine_as_test(lambda: Story(world), settings=payload)
        assert world.does(world.everything_adds_up()) > 0, "no story took any money"
