"""Money that goes back, is looked into or is owed: who is told, once, and nobody else."""

from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest

from chassis.clock import now
from contracts.events.auth import GuardianChanged, NewDeviceUsed
from contracts.events.billing import (
    CreditRefunded,
    InvoiceCredited,
    InvoiceReminded,
    InvoiceSettled,
    PaymentUnmatched,
    UnmatchedReason,
)
from contracts.events.payment import PaymentHeld, PaymentRefunded, PaymentRefundUndone, PaymentReturned, ReturnKind


def about(post: Any, payer: UUID | None = None) -> dict[str, Any]:
    return {
        "payment_id": uuid4(),
        "checkout_id": uuid4(),
        "household_id": post.household,
        "payer_id": payer or post.guardian,
        "amount_cents": 4250,
    }


def reminded(post: Any, step: int = 1, invoice: UUID | None = None) -> InvoiceReminded:
    return InvoiceReminded(
        invoice_id=invoice or uuid4(),
        household_id=post.household,
        number="2026-000123",
        month=date(2026, 11, 1),
        left_cents=4250,
        due_on=date(2026, 12, 31),
        step=step,
        reminded_at=now(),
    )


async def other_guardian(post: Any, household: UUID) -> UUID:
    who = uuid4()
    await post.hears(
        GuardianChanged(
            guardian_id=who,
            household_id=household,
            version=1,
            first_name="Sacha",
            last_name="Dupont",
            email="sacha@example.org",
            active=True,
        )
    )
    return who


def text(mail: Any) -> str:
    found: str = mail.get_body(("plain",)).get_content()
    return found


async def test_each_part_of_a_refund_is_told_once_to_who_paid(post: Any) -> None:
    await post.known()
    await other_guardian(post, post.household)
    payment = about(post)
    first = PaymentRefunded(refund_id=uuid4(), refunded_cents=4250, was_confirmed=True, refunded_at=now(), **payment)
    second = first.model_copy(update={"refund_id": uuid4(), "amount_cents": 1000, "refunded_cents": 5250})
    for event in (first, second, first, second):
        await post.hears(event)
    mails = {str(each["Subject"]).replace("\xa0", " "): each for each in await post.mails(2)}
    assert set(mails) == {"Votre remboursement de 42,50 €", "Votre remboursement de 10,00 €"}
    assert {str(each["To"]) for each in mails.values()} == {"camille@example.org"}
    assert "Remboursé en tout" in text(mails["Votre remboursement de 10,00 €"])


@pytest.mark.parametrize(
    ("event", "more", "said"),
    [
        (PaymentHeld, {"held_at": now()}, "rien n'est perdu"),
        (PaymentReturned, {"how": ReturnKind.REVERSED, "returned_at": now()}, "prélèvement"),
        (PaymentReturned, {"how": ReturnKind.CHARGED_BACK, "returned_at": now()}, "contesté"),
        (
            PaymentRefunded,
            {"refund_id": uuid4(), "refunded_cents": 4250, "was_confirmed": False, "refunded_at": now()},
            "peuvent être réglées de nouveau",
        ),
        (
            PaymentRefundUndone,
            {"decision_id": uuid4(), "refunded_cents": 0, "undone_at": now()},
            "il paie de nouveau les mêmes factures",
        ),
    ],
)
async def test_what_becomes_of_a_payment_is_told_in_plain_words(
    post: Any, event: Any, more: dict[str, Any], said: str
) -> None:
    await post.known()
    fact = event(**about(post), **more)
    await post.hears(fact)
    await post.hears(fact)
    (mail,) = await post.mails(1)
    assert said in text(mail)
    assert "List-Unsubscribe" not in mail


async def test_a_reminder_is_told_once_a_step_and_can_be_left(post: Any) -> None:
    await post.known()
    other = await other_guardian(post, post.household)
    await other_guardian(post, uuid4())
    invoice = uuid4()
    await post.hears(reminded(post, 1, invoice))
    await post.hears(reminded(post, 1, invoice))
    first = await post.mails(2)
    assert {str(each["To"]) for each in first} == {"camille@example.org", "sacha@example.org"}
    _, _, path = first[0]["List-Unsubscribe"].strip("<>").partition("/desabonnement/")
    key, _, kind = path.partition("/")
    left = await post.client.post("/unsubscriptions", json={"unsubscribe_key": key, "kind": kind})
    assert left.status == 204
    await post.hears(reminded(post, 2, invoice))
    last = (await post.mails(3))[-1]
    assert last["To"] != first[0]["To"]
    assert "rappel précédent" in text(last)
    assert await post.sql("SELECT count(*) FROM preference WHERE guardian_id = ANY($1)", [other, post.guardian]) == 1


async def test_a_reminder_that_still_waits_when_the_invoice_is_paid_never_leaves(post: Any) -> None:
    await post.known()
    await post.sql("INSERT INTO domain_pause VALUES ('example.org', 1, now() + interval '1 hour')")
    paid, owed = reminded(post), reminded(post)
    for event in (paid, owed):
        await post.hears(event)
    settled = InvoiceSettled(
        invoice_id=paid.invoice_id,
        household_id=post.household,
        number=paid.number,
        payment_id=uuid4(),
        settled_at=now(),
    )
    await post.hears(settled)
    await post.sql("DELETE FROM domain_pause")
    await post.sql("SELECT pg_notify('mail_waiting', '')")
    await post.mails(1)
    dropped = [each for each in await post.log() if each["last_answer"] == "the invoice is paid"]
    assert [each["status"] for each in dropped] == ["failed"]


async def test_a_credit_note_and_its_refund_are_told_to_the_household_and_to_no_other(post: Any) -> None:
    await post.known()
    await other_guardian(post, uuid4())
    note = InvoiceCredited(
        credit_note_id=uuid4(),
        household_id=post.household,
        number="A-2026-000007",
        invoice_id=uuid4(),
        invoice_number="2026-000123",
        total_cents=840,
        reason="Quotient familial connu",
        published_at=now(),
    )
    refund = CreditRefunded(
        refund_id=uuid4(),
        household_id=post.household,
        amount_cents=840,
        means="transfer",
        reference="Mandat 2026-118",
        refunded_at=now(),
    )
    for event in (note, refund, note, refund):
        await post.hears(event)
    said = "".join([text(mail) for mail in await post.mails(2)])
    assert "A-2026-000007" in said
    assert "virement" in said
    assert "Mandat 2026-118" in said


async def test_a_new_device_is_told_to_the_address_of_the_account(post: Any) -> None:
    event = NewDeviceUsed(
        session_id=uuid4(),
        account_id=uuid4(),
        first_name="Ada",
        email="ada@mairie.example",
        browser="Firefox",
        system="Android",
        signed_in_at=now(),
    )
    await post.hears(event)
    await post.hears(event)
    (mail,) = await post.mails(1)
    assert mail["To"] == "ada@mairie.example"
    assert "Firefox sur Android" in text(mail)
    assert "/compte#sessions" in text(mail)


async def test_money_for_what_was_settled_before_is_told_to_be_a_credit(post: Any) -> None:
    await post.known()
    await other_guardian(post, uuid4())
    event = PaymentUnmatched(
        payment_id=uuid4(),
        household_id=post.household,
        surplus_cents=4505,
        reason=UnmatchedReason.ALREADY_SETTLED,
        recorded_at=now(),
        amount_cents=4505,
        invoices=("2026-000123",),
    )
    for _ in range(2):
        await post.hears(event)
    (mail,) = await post.mails(1)
    said = (mail["Subject"] + text(mail)).replace("\xa0", " ")
    assert "Déjà réglée : 45,05 € sont à votre crédit" in said
    assert "2026-000123" in said
