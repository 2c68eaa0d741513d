"""What must hold after any chaos. Each function is one invariant and returns its violations, a sentence each.

``INVARIANTS`` lists them. Our own tables are compared with the bank's book and the mails that the server received.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from local_stack.stack import SERVICES
from tests.chaos.evidence import DEFECTS, Evidence
from tests.chaos.messages import LISTENING, queues_of
from tests.chaos.rebuilt import projections

Law = Callable[[Evidence], Awaitable[list[str]]]
TICKET = "justificatif"


def _once(what: str, found: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """What is missing, was not wanted, or is there more than once."""
    have, want = Counter(iter(found)), Counter(iter(wanted))
    missing = [f"{each}: no {what}" for each in want - have]
    return missing + [f"{each}: {have[each]} times {what}, wanted {want[each]}" for each in have - want]


def _taken(evidence: Evidence) -> dict[str, int]:
    return {each.reference: each.cents for each in evidence.book if each.took_money}


async def _payments(evidence: Evidence) -> dict[str, str]:
    """Our reference of every payment by its id."""
    rows = await evidence.rows("payment-gateway", "SELECT payment_id::text, reference FROM payment")
    return {row["payment_id"]: row["reference"] for row in rows}


def _differing(ours: dict[str, int], theirs: dict[str, int]) -> list[str]:
    return [
        f"{each}: {ours[each]} cents, but {theirs[each]} taken"
        for each in ours
        if theirs.get(each, ours[each]) != ours[each]
    ]


async def every_payment_the_bank_took_is_confirmed_once_and_nothing_else_is(evidence: Evidence) -> list[str]:
    names, taken = await _payments(evidence), _taken(evidence)
    moves = "SELECT payment_id::text FROM payment_move WHERE to_status = 'confirmed'"
    moved = [names[row["payment_id"]] for row in await evidence.rows("payment-gateway", moves)]
    events = "SELECT data::jsonb ->> 'payment_id' AS id FROM outbox WHERE type = 'payment.confirmed'"
    told = [names[row["id"]] for row in await evidence.rows("payment-gateway", events)]
    kept = "SELECT reference, taken_cents FROM payment WHERE status = 'confirmed'"
    ours = {row["reference"]: row["taken_cents"] for row in await evidence.rows("payment-gateway", kept)}
    found = _once("confirmed", ours, taken) + _once("confirming move", moved, taken) + _once("event", told, taken)
    return found + _differing(ours, taken)


async def every_payment_the_bank_took_is_settled_once_and_nothing_else_is(evidence: Evidence) -> list[str]:
    names, taken = await _payments(evidence), _taken(evidence)
    query = (
        "SELECT substr(t.key, 9) AS id, sum(e.amount_cents)::bigint AS cents FROM ledger_transaction t "
        "JOIN ledger_entry e USING (transaction_id) WHERE t.key LIKE 'payment/%' AND e.account = 'bank' GROUP BY 1"
    )
    settled = {names.get(row["id"], row["id"]): row["cents"] for row in await evidence.rows("billing", query)}
    query = "SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry WHERE account = 'bank'"
    ours, theirs = await evidence.value("billing", query), sum(taken.values())
    total = [] if ours == theirs else [f"{ours} cents in the ledger, {theirs} at the bank"]
    return _once("settlement", settled, taken) + _differing(settled, taken) + total


async def every_payment_the_bank_took_has_one_ticket_and_nothing_else_has(evidence: Evidence) -> list[str]:
    query = "SELECT reference FROM payment WHERE ticket_number IS NOT NULL"
    rows = await evidence.rows("payment-gateway", query)
    return _once("ticket", (row["reference"] for row in rows), _taken(evidence))


async def every_payment_the_bank_took_is_mailed_once_and_nothing_else_is(evidence: Evidence) -> list[str]:
    """One mail of ours for each; at the mail server one letter, which may come twice under the same Message-ID."""
    names, taken = await _payments(evidence), _taken(evidence)
    query = "SELECT mail_id::text, event ->> 'payment_id' AS id, status FROM mail WHERE kind = 'ticket'"
    rows = await evidence.rows("notifier", query)
    sent = [names.get(row["id"], row["id"]) for row in rows if row["status"] == "sent"]
    ours = {row["mail_id"] for row in rows}
    letters = {each.message_id[1:].partition("@")[0] for each in evidence.letters if TICKET in str(each.attachments)}
    unsent = [f"mail {row['mail_id']} is {row['status']}" for row in rows if row["status"] != "sent"]
    return _once("mail", sent, taken) + unsent + _once("letter at the mail server", letters, ours)


async def the_ledger_balances(evidence: Evidence) -> list[str]:
    """Every movement; every invoice is in it; none is paid beyond what it says."""
    movements = "SELECT transaction_id FROM ledger_entry GROUP BY 1 HAVING sum(amount_cents) <> 0 OR count(*) < 2"
    beyond = (
        "SELECT invoice_id, sum(amount_cents) AS left FROM ledger_entry WHERE account = 'receivable' "
        "GROUP BY 1 HAVING sum(amount_cents) < 0"
    )
    missing = (
        "SELECT number FROM invoice i WHERE total_cents IS DISTINCT FROM (SELECT sum(e.amount_cents) "
        "FROM ledger_entry e JOIN ledger_transaction t USING (transaction_id) "
        "WHERE e.invoice_id = i.invoice_id AND t.key = 'invoice/' || i.invoice_id)"
    )
    return [
        *await evidence.each("billing", movements, "movement {transaction_id} does not balance"),
        *await evidence.each("billing", beyond, "invoice {invoice_id} is paid beyond: {left} cents are left"),
        *await evidence.each("billing", missing, "invoice {number} is not in the ledger"),
    ]


async def numbers_have_no_gap(evidence: Evidence) -> list[str]:
    """Tickets, invoices, credit notes and receipts, each series of a year: 1, 2, 3 …"""
    series = {
        ("payment-gateway", "ticket"): "SELECT ticket_number AS number FROM payment WHERE ticket_number IS NOT NULL",
        ("billing", "invoice"): "SELECT number FROM invoice",
        ("billing", "credit note"): "SELECT number FROM credit_note",
        ("billing", "receipt"): "SELECT number FROM receipt",
    }
    wrong = []
    for (service, what), query in series.items():
        found: dict[str, list[int]] = {}
        for row in await evidence.rows(service, query):
            of, _, number = row["number"].rpartition("-")
            found.setdefault(of, []).append(int(number))
        for of, numbers in found.items():
            if sorted(numbers) != list(range(1, len(numbers) + 1)):
                wrong.append(f"{what}s of {of}: {len(numbers)} numbers up to {max(numbers)}")
    return wrong


async def no_day_is_overbooked(evidence: Evidence) -> list[str]:
    """Nor is any count of places another than that of the bookings."""
    over = (
        "SELECT a.label, b.day, count(*) AS booked, a.capacity FROM booking b JOIN activity a USING (activity_id) "
        "WHERE b.booked AND a.capacity IS NOT NULL GROUP BY a.activity_id, b.day HAVING count(*) > a.capacity"
    )
    miscounted = (
        "SELECT * FROM (SELECT o.day, o.booked, (SELECT count(*) FROM booking b WHERE b.booked AND b.day = o.day "
        "AND b.activity_id = o.activity_id) AS counted FROM occupation o) c WHERE booked <> counted"
    )
    return [
        *await evidence.each("planning", over, "{label} on {day}: {booked} booked, {capacity} places"),
        *await evidence.each("planning", miscounted, "{day}: {booked} places counted, {counted} booked"),
    ]


async def what_a_parent_was_told_is_so(evidence: Evidence) -> list[str]:
    """« Enregistré », « Confirmation de paiement »: nothing that was said is lost."""
    query = "SELECT child_id::text || ' ' || activity_id || '|' || day AS place, booked FROM booking"
    booked = {row["place"]: row["booked"] for row in await evidence.rows("planning", query)}
    told = {f"{child} {cell}": wanted for (child, cell), wanted in evidence.seen.days.items() if wanted is not None}
    wrong = [f"{place}: told {wanted}" for place, wanted in told.items() if booked.get(place, False) != wanted]
    query = "SELECT payment_id::text FROM payment WHERE status = 'confirmed'"
    confirmed = {row["payment_id"] for row in await evidence.rows("payment-gateway", query)}
    return wrong + [f"payment {each} was told to be confirmed" for each in evidence.seen.paid - confirmed]


async def every_event_is_heard_by_everybody_it_is_for(evidence: Evidence) -> list[str]:
    said: dict[str, set[str]] = {}
    for service in SERVICES:
        for row in await evidence.rows(service, "SELECT event_id::text, type FROM outbox"):
            said.setdefault(row["type"], set()).add(row["event_id"])
    wrong = []
    for package in LISTENING:
        rows = await evidence.rows(package.replace("_", "-"), "SELECT listener, event_id::text FROM inbox")
        heard = {(row["listener"], row["event_id"]) for row in rows}
        for queue in queues_of(package):
            for event_type in queue.routing_keys:
                missing = [each for each in said.get(event_type, ()) if (queue.name, each) not in heard]
                wrong += [f"{queue.name} has not heard {event_type} {each}" for each in missing]
    return wrong


async def outboxes_are_empty(evidence: Evidence) -> list[str]:
    query = "SELECT count(*) FROM outbox WHERE published_at IS NULL"
    found = {service: await evidence.value(service, query) for service in SERVICES}
    return [f"{service}: {count} events have not left" for service, count in found.items() if count]


async def queues_are_empty_and_what_is_parked_is_explained(evidence: Evidence) -> list[str]:
    """Parked is only what nobody can read, and only such messages as were slipped in."""
    wrong = [f"{queue}: {count} messages wait" for queue, count in evidence.waiting.items() if count]
    for queue, message_id, reason in evidence.parked:
        if (queue, message_id) not in evidence.town.spoiled or not reason.startswith("cannot be read"):
            wrong.append(f"{queue}: {message_id} is parked: {reason}")
    return wrong


async def projections_are_what_the_events_make_anew(evidence: Evidence) -> list[str]:
    return await projections(evidence)


async def no_invoice_is_held_by_a_payment_that_is_over(evidence: Evidence) -> list[str]:
    """Else its parents could not pay it any more."""
    over = "SELECT DISTINCT ON (checkout_id) checkout_id, status FROM payment ORDER BY checkout_id, created_at DESC"
    status = {row["checkout_id"]: row["status"] for row in await evidence.rows("payment-gateway", over)}
    held = await evidence.rows("billing", "SELECT checkout_id, invoice_id FROM checkout_invoice WHERE open")
    waits = {"created", "pending", "processing", None}
    return [
        f"invoice {row['invoice_id']} is held, its payment is {status[row['checkout_id']]}"
        for row in held
        if status.get(row["checkout_id"]) not in waits
    ]


async def nobody_meets_a_defect(evidence: Evidence) -> list[str]:
    """No page and no log says that something broke by our own fault."""
    return evidence.seen.defects + [each for each in evidence.complaints if any(defect in each for defect in DEFECTS)]


INVARIANTS: tuple[Law, ...] = (
    every_payment_the_bank_took_is_confirmed_once_and_nothing_else_is,
    every_payment_the_bank_took_is_settled_once_and_nothing_else_is,
    every_payment_the_bank_took_has_one_ticket_and_nothing_else_has,
    every_payment_the_bank_took_is_mailed_once_and_nothing_else_is,
    the_ledger_balances,
    numbers_have_no_gap,
    no_day_is_overbooked,
    what_a_parent_was_told_is_so,
    every_event_is_heard_by_everybody_it_is_for,
    projections_are_what_the_events_make_anew,
    no_invoice_is_held_by_a_payment_that_is_over,
    outboxes_are_empty,
    queues_are_empty_and_what_is_parked_is_explained,
    nobody_meets_a_defect,
)
