"""A short day of chaos, always the same one, and the proof that each law can be broken. `make chaos` is longer."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from email.message import EmailMessage
from random import Random

import aiosmtplib
import pytest
import pytest_asyncio

from chassis.broker import opened
from tests.chaos.chaos import Day, judge, report, spend
from tests.chaos.conductor import draw
from tests.chaos.evidence import Evidence, Operation, gathered, undone
from tests.chaos.faults import FAULTS
from tests.chaos.invariants import INVARIANTS
from tests.chaos.messages import spoil
from tests.chaos.parents import Seen, plan
from tests.chaos.tenant import Town, town

SEED, PARENTS, SECONDS, MANY = 14, 30, 15.0, 14
SERVERS_KILLED = {"PostgreSQL killed (-9)", "RabbitMQ killed (-9)"}

pytestmark = [pytest.mark.drill, pytest.mark.faults, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(400)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ours() -> AsyncIterator[Town]:
    async with town(PARENTS, replicas=1) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def day(ours: Town) -> Day:
    """The day, with half of the kinds of faults, those that kill servers among them."""
    return await spend(ours, seed=SEED, seconds=SECONDS, many=MANY)


async def test_after_a_day_of_chaos_every_law_is_kept(day: Day) -> None:
    assert day.is_right, report(day)
    assert {each.fault.name for each in day.planned} >= SERVERS_KILLED
    assert day.counts["payments that the bank took"] > PARENTS / 4, report(day)
    assert day.counts["days changed"] > PARENTS / 4, report(day)


async def test_every_kind_of_fault_comes_before_one_comes_again() -> None:
    kinds = [each.fault.name for each in draw(SEED, 300, 2 * len(FAULTS))]
    assert Counter(kinds) == Counter({each.name: 2 for each in FAULTS})
    assert set(kinds[: len(FAULTS)]) == set(kinds)


async def test_a_seed_draws_the_same_faults_and_the_same_parents() -> None:
    assert list(map(str, draw(SEED, 300, 60))) == list(map(str, draw(SEED, 300, 60)))
    assert list(map(str, draw(SEED, 300, 60))) != list(map(str, draw(SEED + 1, 300, 60)))
    assert [plan(SEED, number, 300) for number in range(50)] == [plan(SEED, number, 300) for number in range(50)]
    assert plan(SEED, 1, 300) != plan(SEED + 1, 1, 300)


UNCONFIRMED = (
    "UPDATE payment SET status = 'review', said = '{}', ticket_number = NULL, ticket = NULL WHERE status = 'confirmed'"
)
BY_HAND = {
    "every_payment_the_bank_took_is_confirmed_once_and_nothing_else_is": (
        ("payment-gateway", UNCONFIRMED),
        ("payment-gateway", "DELETE FROM payment_move WHERE to_status = 'confirmed'"),
        ("payment-gateway", "DELETE FROM outbox WHERE type = 'payment.confirmed'"),
        (
            "payment-gateway",
            "INSERT INTO payment_move (payment_id, from_status, to_status, said_by, reason, at) SELECT payment_id, "
            "from_status, to_status, said_by, reason, at FROM payment_move WHERE to_status = 'confirmed'",
        ),
        ("payment-gateway", "UPDATE payment SET taken_cents = taken_cents + 1 WHERE status = 'confirmed'"),
    ),
    "every_payment_the_bank_took_is_settled_once_and_nothing_else_is": (
        ("billing", "DELETE FROM ledger_transaction WHERE key LIKE 'payment/%'"),
        ("billing", "UPDATE ledger_entry SET amount_cents = amount_cents + 1 WHERE account = 'bank'"),
        (
            "billing",
            "UPDATE ledger_transaction SET key = 'payment/of-nobody' WHERE transaction_id = "
            "(SELECT max(transaction_id) FROM ledger_transaction WHERE key LIKE 'payment/%')",
        ),
    ),
    "every_payment_the_bank_took_has_one_ticket_and_nothing_else_has": (("payment-gateway", UNCONFIRMED),),
    "every_payment_the_bank_took_is_mailed_once_and_nothing_else_is": (
        ("notifier", "DELETE FROM mail WHERE kind = 'ticket'"),
        (
            "notifier",
            "INSERT INTO mail (intent, kind, recipient, first_name, domain, person_id, event, priority, status, "
            "created_at, try_at, sent_at) SELECT intent || '/2', kind, recipient, first_name, domain, person_id, "
            "event, priority, status, created_at, try_at, sent_at FROM mail WHERE kind = 'ticket'",
        ),
        ("notifier", "UPDATE mail SET status = 'waiting', sent_at = NULL WHERE kind = 'ticket'"),
    ),
    "the_ledger_balances": (
        ("billing", "UPDATE ledger_entry SET amount_cents = amount_cents + 1 WHERE account = 'bank'"),
        ("billing", "DELETE FROM ledger_transaction WHERE key LIKE 'invoice/%'"),
        (
            "billing",
            "UPDATE ledger_entry SET amount_cents = 10 * amount_cents WHERE account = 'receivable' "
            "AND amount_cents < 0",
        ),
    ),
    "numbers_have_no_gap": (
        (
            "payment-gateway",
            "UPDATE payment SET ticket_number = 'T-2026-999999' WHERE payment_id = "
            "(SELECT payment_id FROM payment WHERE ticket_number IS NOT NULL LIMIT 1)",
        ),
        ("billing", "DELETE FROM invoice WHERE number LIKE '%000002'"),
    ),
    "no_day_is_overbooked": (
        ("planning", "UPDATE activity SET capacity = 0 WHERE capacity IS NOT NULL"),
        ("planning", "UPDATE occupation SET booked = booked + 1"),
        ("planning", "DELETE FROM booking"),
    ),
    "what_a_parent_was_told_is_so": (
        ("planning", "UPDATE booking SET booked = NOT booked"),
        ("payment-gateway", UNCONFIRMED),
    ),
    "every_event_is_heard_by_everybody_it_is_for": (
        ("billing", "DELETE FROM inbox WHERE listener = 'billing.settle-invoices'"),
        ("notifier", "DELETE FROM inbox WHERE listener = 'notifier.keep-bookings'"),
    ),
    "projections_are_what_the_events_make_anew": (
        ("billing", "UPDATE usage SET booked = NOT booked"),
        ("billing", "UPDATE household SET name = 'Famille Autre' WHERE reference = 'chaos00001'"),
        ("notifier", "DELETE FROM guardian WHERE email LIKE 'chaos00001@%'"),
        ("notifier", "UPDATE enrolment SET booked_until = NULL"),
        ("planning", "UPDATE household_child SET class_name = 'CM2'"),
        ("payment-gateway", "DELETE FROM settlement"),
    ),
    "no_invoice_is_held_by_a_payment_that_is_over": (
        (
            "billing",
            "UPDATE checkout_invoice SET open = true WHERE checkout_id = (SELECT checkout_id FROM checkout "
            "WHERE status = 'settled' LIMIT 1)",
        ),
    ),
    "outboxes_are_empty": (("planning", "UPDATE outbox SET published_at = NULL"),),
}
"""What somebody does to a database, by the law that it breaks."""


@pytest_asyncio.fixture(loop_scope="module")
async def evidence(ours: Town, day: Day) -> AsyncIterator[Evidence]:
    async with gathered(ours, day.seen) as found:
        yield found


@pytest.mark.parametrize(
    ("law", "service", "by_hand"), [(law, *each) for law, several in BY_HAND.items() for each in several]
)
async def test_a_hand_in_a_database_breaks_its_law(evidence: Evidence, law: str, service: str, by_hand: str) -> None:
    (asked,) = (each for each in INVARIANTS if each.__name__ == law)
    async with undone(evidence.connections[service]) as hand:
        assert int((await hand.execute(by_hand)).split()[-1]) > 0, "nothing was there to be broken"
        assert await asked(evidence) != []


async def test_money_that_the_bank_took_and_nobody_here_knows_of_breaks_the_laws_of_payments(
    evidence: Evidence,
) -> None:
    evidence.book = [*evidence.book, Operation("unknown", "NOBODYS", 4_250, took_money=True, is_decided=True)]
    broken = {name for name, wrong in (await judge(evidence)).items() if wrong}
    assert broken == {each for each in BY_HAND if each.startswith("every_payment")}


async def test_money_that_the_bank_gave_up_breaks_the_laws_of_payments(evidence: Evidence) -> None:
    evidence.book = [replace(each, took_money=False) for each in evidence.book]
    broken = {name for name, wrong in (await judge(evidence)).items() if wrong}
    assert broken == {each for each in BY_HAND if each.startswith("every_payment")}


async def test_a_defect_that_a_parent_or_a_log_saw_breaks_its_law(evidence: Evidence) -> None:
    for defects, complaints in ((["a page"], []), ([], ["billing: request failed; ValueError"])):
        evidence.seen, evidence.complaints = replace(evidence.seen, defects=defects), complaints
        assert [name for name, wrong in (await judge(evidence)).items() if wrong] == ["nobody_meets_a_defect"]


async def test_a_letter_more_at_the_mail_server_breaks_its_law(ours: Town, day: Day) -> None:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Message-ID"] = "a@example.org", "b@example.org", "<another@example.org>"
    letter.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="justificatif.pdf")
    await aiosmtplib.send(letter, hostname="127.0.0.1", port=ours.stack.ports["smtp"])
    async with gathered(ours, day.seen) as evidence:
        broken = [name for name, wrong in (await judge(evidence)).items() if wrong]
    assert broken == ["every_payment_the_bank_took_is_mailed_once_and_nothing_else_is"]


async def test_a_parked_message_that_nobody_can_explain_breaks_its_law(ours: Town) -> None:
    async with opened(ours.stack.rabbit.url()) as channel:
        queue = await spoil(ours, channel, Random(SEED))
    ours.spoiled = {each for each in ours.spoiled if each[0] != queue}
    async with asyncio.timeout(30):
        while not await _parked(ours, queue):
            await asyncio.sleep(0.2)


async def _parked(ours: Town, queue: str) -> list[str]:
    async with gathered(ours, Seen()) as evidence:
        law = "queues_are_empty_and_what_is_parked_is_explained"
        (asked,) = (each for each in INVARIANTS if each.__name__ == law)
        return [each for each in await asked(evidence) if each.startswith(queue) and "is parked" in each]


async def test_every_law_is_proven_above() -> None:
    elsewhere = {"queues_are_empty_and_what_is_parked_is_explained", "nobody_meets_a_defect"}
    assert {each.__name__ for each in INVARIANTS} == BY_HAND.keys() | elsewhere
