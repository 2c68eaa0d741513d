"""Payments that were begun and wait for their bank's word, and the notification by which each bank says it: paid.

``AT`` says which bank: ``payfip``, ``lyra`` (unless told), ``paybox`` or ``stripe``.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg

from bank_simulator import lyra, paybox, stripe
from bank_simulator.book import Operation
from bank_simulator.faults import Faults
from chassis.clock import now
from contracts.events.billing import CheckoutInvoice, CheckoutOpened
from local_stack.banks import ACCOUNT, CONTRACT, LYRA_SHOP, LYRA_TILL, PAYBOX_TILL, STRIPE_TILL
from local_stack.families import sql
from local_stack.stack import Stack

CENTS = 345
AT = os.environ.get("AT", "lyra")
SITE = f"{CONTRACT['site']}-{CONTRACT['rank']}"
BANK, BANK_ACCOUNT, TILL = {
    "payfip": ("payfip", "123456", "REGIE-ENFANCE"),
    "lyra": (f"lyra-{LYRA_SHOP}", LYRA_SHOP, LYRA_TILL),
    "paybox": (f"paybox-{SITE}", f"{SITE}-{CONTRACT['identifier']}", PAYBOX_TILL),
    "stripe": ("stripe-demo", ACCOUNT["account"], STRIPE_TILL),
}[AT]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Notice(NamedTuple):
    """What a bank sends."""

    body: bytes
    headers: dict[str, str] = FORM
    query: str = ""


@dataclass(frozen=True)
class Due:
    """Somebody's invoice, and the payment that was begun for it; ``family`` is its place in the demo."""

    payment_id: UUID
    household_id: UUID
    payer_id: UUID
    invoice_id: UUID
    family: int
    cents: int
    day: date
    number: int

    @property
    def bank_reference(self) -> str:
        return {
            "payfip": str(self.payment_id),
            "lyra": f"{self.day:%Y%m%d}-{self.number:06d}",
            "paybox": self.reference,
            "stripe": f"cs_test_{self.payment_id.hex}",
        }[AT]

    @property
    def reference(self) -> str:
        return self.payment_id.hex[: 30 if AT == "payfip" else 32].upper()

    def opened(self, checkout_id: UUID) -> CheckoutOpened:
        invoice = CheckoutInvoice(
            invoice_id=self.invoice_id, number="2026-1", month=self.day.replace(day=1), amount_cents=self.cents
        )
        return CheckoutOpened(
            checkout_id=checkout_id,
            household_id=self.household_id,
            household_name="Famille Exemple",
            household_reference="SA001",
            till=TILL,
            amount_cents=self.cents,
            invoices=(invoice,),
            opened_at=now(),
            expires_at=now() + timedelta(days=1),
        )

    def at_bank(self) -> Operation:
        """The operation in the bank's book: paid."""
        asked = {
            "payfip": {"exer": "2026", "mel": "a@b.fr", "montant": f"{self.cents:03d}", "numcli": BANK_ACCOUNT}
            | {"objet": "Factures", "refdet": self.reference, "saisie": "T"},
            "lyra": {
                "vads_amount": str(self.cents),
                "vads_ctx_mode": "TEST",
                "vads_order_id": self.reference,
                "vads_site_id": LYRA_SHOP,
                "vads_trans_date": f"{self.day:%Y%m%d}000000",
                "vads_trans_id": f"{self.number:06d}",
            },
            "paybox": {"PBX_TOTAL": str(self.cents), "PBX_CMD": self.reference, "PBX_RUF1": "POST"}
            | {"PBX_RETOUR": "amount:M;ref:R;auth:A;error:E;call:T;trans:S;day:W;hour:Q;sign:K"},
            "stripe": {
                "client_reference_id": self.reference,
                f"{stripe.PRICE}[unit_amount]": str(self.cents),
                f"{stripe.PRICE}[currency]": "eur",
            },
        }[AT]
        at = datetime.now(UTC).isoformat()
        told = {"result": "P", "result_at": at, "result_told_at": at, "authorisation": "000123"}
        return Operation(self.bank_reference, asked, at, page_shown=True, protocol=AT, **told)

    def notice(self, secrets: dict[str, str]) -> Notice:
        """What the bank sends, signed where it signs."""
        paid = self.at_bank()
        match AT:
            case "lyra":
                shop = {"site_id": LYRA_SHOP, "key": secrets["lyra_key"], "mode": "TEST"}
                return Notice(lyra.notice(paid, shop, Faults()))
            case "paybox":
                contract = {"private_key": secrets["paybox_bank"], "ipn_url": f"?door={secrets['paybox_door']}"}
                _, url, body = paybox.notice(paid, contract, Faults())
                return Notice(body, query=f"?{urlsplit(url).query}")
            case "stripe":
                account = {**ACCOUNT, "secret_key": "sk_test_x", "webhook_secret": f"whsec_{secrets['stripe_webhook']}"}
                body = stripe.event("result", paid, account, Faults())
                return Notice(body, stripe.headers(body, account, Faults()))
        return Notice(f"idop={self.bank_reference}".encode())


async def written_at_bank(stack: Stack, due: Sequence[Due]) -> None:
    """Where the bank is asked, its book has to know what was paid."""
    if AT == "payfip":
        await stack.programs["bank"].stop()
        with (stack.folder / "bank" / "book.jsonl").open("a", encoding="utf-8") as book:
            book.writelines(json.dumps(asdict(each.at_bank())) + "\n" for each in due)
        await stack.restart("bank")


async def begin(stack: Stack, due: Sequence[Due]) -> None:
    """Write checkouts and attempts as the services would, for lack of so many parents."""
    checkouts = [each.opened(uuid4()) for each in due]
    connection = await asyncpg.connect(stack.databases["payment-gateway"])
    await connection.executemany(
        "INSERT INTO checkout (checkout_id, household_id, opened, expires_at) VALUES ($1, $2, $3, $4)",
        [(each.checkout_id, each.household_id, each.model_dump_json(), each.expires_at) for each in checkouts],
    )
    await connection.executemany(
        "INSERT INTO payment (payment_id, checkout_id, household_id, payer_id, payer_email, bank, account, mode, "
        "reference, amount_cents, status, created_at, changed_at, look_up_at, day, number) VALUES ($1, $2, $3, $4, "
        "'a@b.fr', $5, $6, 'test', $7, $8, 'created', now(), now(), now() + interval '1 day', $9, $10)",
        [
            (
                *(each.payment_id, checkout.checkout_id, each.household_id, each.payer_id, BANK, BANK_ACCOUNT),
                *(each.reference, each.cents, each.day, each.number),
            )
            for each, checkout in zip(due, checkouts, strict=True)
        ],
    )
    await connection.executemany(
        "WITH told AS (INSERT INTO payment_move (payment_id, from_status, to_status, said_by, reason, at) "
        "VALUES ($1, 'created', 'pending', 'bank', 'opened', now())) "
        "UPDATE payment SET status = 'pending', bank_reference = $2, payer_url = 'x' WHERE payment_id = $1",
        [(each.payment_id, each.bank_reference) for each in due],
    )
    await connection.close()
    connection = await asyncpg.connect(stack.databases["billing"])
    for each, checkout in zip(due, checkouts, strict=True):
        if each.family >= 0:
            await connection.execute(
                "WITH c AS (INSERT INTO checkout (checkout_id, household_id, status, amount_cents, opened_at, "
                "expires_at) VALUES ($1, $2, 'open', $3, now(), now() + interval '1 day') RETURNING checkout_id) "
                "INSERT INTO checkout_invoice (checkout_id, invoice_id, position, amount_cents, open) "
                "SELECT checkout_id, $4, 0, $3, true FROM c",
                checkout.checkout_id,
                each.household_id,
                each.cents,
                each.invoice_id,
            )
    await connection.close()


async def invoices(stack: Stack, day: date) -> list[Due]:
    """Every family's invoices that are still to be paid, one of each in turn."""
    payers = {
        each["household_id"]: each["guardian_id"]
        for each in await sql(stack, "notifier", "SELECT DISTINCT ON (household_id) * FROM guardian WHERE email <> ''")
    }
    emails = {each["household_id"]: each["email"] for each in await sql(stack, "notifier", "SELECT * FROM guardian")}
    found = await sql(
        stack,
        "billing",
        "SELECT household_id, invoice_id, total_cents, row_number() OVER (PARTITION BY household_id) AS turn "
        "FROM invoice ORDER BY turn, household_id",
    )
    return [
        Due(
            uuid4(),
            each["household_id"],
            payers[each["household_id"]],
            each["invoice_id"],
            int(re.findall(r"\d+", emails[each["household_id"]])[0]) - 1,
            each["total_cents"],
            day,
            number,
        )
        for number, each in enumerate(found, start=1)
        if each["household_id"] in payers
    ]


def strangers(count: int, day: date) -> list[Due]:
    """Payments of nobody in particular, whose names a statement can work out from the day and the number."""
    names = [
        hashlib.md5(f"{day}-{number}".encode(), usedforsecurity=False).hexdigest() for number in range(1, count + 1)
    ]
    return [
        Due(UUID(name), uuid4(), uuid4(), uuid4(), -1, CENTS, day, number) for number, name in enumerate(names, start=1)
    ]
