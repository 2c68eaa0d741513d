"""Checkouts that may be paid, attempts, and their moves."""

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.clock import day_of
from chassis.database import Transaction
from contracts.api.payment_gateway import PaymentStatus
from contracts.events.billing import CheckoutOpened
from contracts.events.payment import Means, Mode, Receipt, Ticket
from payment_gateway.domain.payments import LOOKED_UP, TAKEN, Answer, Attempt, Heard, Move, Word

_ATTEMPT = "SELECT p.*, c.opened FROM payment p JOIN checkout c USING (checkout_id)"


async def save_checkout(tx: Transaction, event: CheckoutOpened) -> None:
    await tx.execute(
        "INSERT INTO checkout (checkout_id, household_id, opened, expires_at) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT DO NOTHING",
        event.checkout_id,
        event.household_id,
        event.model_dump(mode="json"),
        event.expires_at,
    )


async def checkout_for_update(tx: Transaction, household_id: UUID, checkout_id: UUID) -> CheckoutOpened | None:
    """The checkout, locked: one attempt is opened at a time."""
    opened = await tx.fetchval(
        "SELECT opened FROM checkout WHERE checkout_id = $1 AND household_id = $2 FOR UPDATE", checkout_id, household_id
    )
    return CheckoutOpened.model_validate(opened) if opened else None


async def add_attempt(
    tx: Transaction,
    checkout: CheckoutOpened,
    *,
    payment_id: UUID,
    payer_id: UUID,
    payer_email: str,
    payer_name: str,
    bank: str,
    account: str,
    mode: Mode,
    reference: str,
    at: datetime,
    look_up_at: datetime,
    traceparent: str | None,
) -> None:
    """An attempt before the bank is asked; ``look_up_at`` is when the clock takes it for lost."""
    day = at.astimezone(UTC).date()
    await tx.execute(
        "INSERT INTO payment (payment_id, checkout_id, household_id, payer_id, payer_email, bank, account, mode, "
        "reference, amount_cents, status, created_at, changed_at, look_up_at, day, number, payer_name, traceparent) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'created', $11, $11, $12, $13, $14, $15, $16)",
        payment_id,
        checkout.checkout_id,
        checkout.household_id,
        payer_id,
        payer_email,
        bank,
        account,
        mode,
        reference,
        checkout.amount_cents,
        at,
        look_up_at,
        day,
        await _next_number(tx, bank, day),
        payer_name,
        traceparent,
    )


async def traceparent_of(tx: Transaction, payment_id: UUID) -> str | None:
    """Where in its trace an attempt began."""
    found: str | None = await tx.fetchval("SELECT traceparent FROM payment WHERE payment_id = $1", payment_id)
    return found


async def _next_number(tx: Transaction, bank: str, day: date) -> int:
    """The number of an attempt in its bank's day, drawn once."""
    number: int = await tx.fetchval(
        "INSERT INTO attempt_series (bank, day, last_number) VALUES ($1, $2, 1) "
        "ON CONFLICT (bank, day) DO UPDATE SET last_number = attempt_series.last_number + 1 RETURNING last_number",
        bank,
        day,
    )
    return number


async def opened_at_bank(
    tx: Transaction, payment_id: UUID, bank_reference: str, payer_url: str, look_up_at: datetime | None
) -> None:
    await tx.execute(
        "UPDATE payment SET bank_reference = $2, payer_url = $3, look_up_at = $4 WHERE payment_id = $1",
        payment_id,
        bank_reference,
        payer_url,
        look_up_at,
    )


async def attempt_for_update(tx: Transaction, payment_id: UUID) -> Attempt:
    """The attempt, locked for a move."""
    row = await tx.fetchrow(f"{_ATTEMPT} WHERE p.payment_id = $1 FOR UPDATE OF p", payment_id)
    return _read(row)


async def named_for_update(tx: Transaction, bank: str, name: str) -> Attempt | None:
    """The attempt that a bank's reference, or ours, names at that account, locked for a move."""
    row = await tx.fetchrow(
        f"{_ATTEMPT} WHERE p.bank = $1 AND (p.bank_reference = $2 OR p.reference = $2 OR p.bank_payment = $2) "
        "FOR UPDATE OF p",
        bank,
        name,
    )
    return _read(row) if row else None


async def attempt(tx: Transaction, payment_id: UUID) -> Attempt | None:
    row = await tx.fetchrow(f"{_ATTEMPT} WHERE p.payment_id = $1", payment_id)
    return _read(row) if row else None


async def attempts_of(tx: Transaction, checkout_id: UUID) -> list[Attempt]:
    """The attempts of a checkout, newest first."""
    rows = await tx.fetch(f"{_ATTEMPT} WHERE p.checkout_id = $1 ORDER BY p.created_at DESC", checkout_id)
    return [_read(row) for row in rows]


async def latest(tx: Transaction, limit: int) -> list[Attempt]:
    rows = await tx.fetch(f"{_ATTEMPT} ORDER BY p.created_at DESC, p.payment_id LIMIT $1", limit)
    return [_read(row) for row in rows]


async def is_anothers(tx: Transaction, attempt: Attempt, bank_payment: str) -> bool:
    """Whether the bank's name for money is that of another attempt at that account."""
    found: bool = await tx.fetchval(
        "SELECT EXISTS (SELECT FROM payment WHERE bank = $1 AND payment_id <> $3 "
        "AND (bank_reference = $2 OR reference = $2 OR bank_payment = $2))",
        attempt.bank,
        bank_payment,
        attempt.payment_id,
    )
    return found


_HEARD = (
    "last_word = CASE WHEN $2::text IS NULL OR last_word = 'contest_won' AND $2 = 'contested' THEN last_word "
    "ELSE $2 END, unanswered = CASE WHEN $2::text IS NULL THEN unanswered ELSE 0 END, "
    "bank_payment = coalesce(bank_payment, $3), said = coalesce($4, said), "
    "look_up_at = CASE WHEN $2::text IS NULL THEN look_up_at WHEN $5::timestamptz IS NOT NULL AND hinted_at > $6 "
    "THEN least($5, $7::timestamptz) ELSE $5 END"
)


def _heard(attempt: Attempt, heard: Heard | None, at: datetime, to: PaymentStatus | None = None) -> tuple[Any, ...]:
    """The first seven parameters of an update by what was heard, if anything was: ``_HEARD``."""
    if heard is None:
        return (attempt.payment_id, None, None, None, None, None, at)
    answer = heard.answer
    under_review = (attempt.status is PaymentStatus.REVIEW and answer.word is Word.PAID) or to is PaymentStatus.REVIEW
    said = _said(answer) if under_review else None
    return (attempt.payment_id, answer.word, answer.bank_payment, said, heard.again, heard.asked_at, at)


_NOTED = f"UPDATE payment SET {_HEARD} WHERE payment_id = $1 RETURNING *"  # noqa: S608 - our words
_HISTORY = (
    "history AS (INSERT INTO payment_move (payment_id, from_status, to_status, said_by, reason, amount_cents, "
    "decision_id, at, undone_cents) VALUES ($1, $8, $9, $10, $11, $12, $13, $7, $14))"
)
_MOVE = (
    f"{_HEARD}, status = $9, taken_cents = coalesce($15, taken_cents), changed_at = $7, "
    "refunded_cents = refunded_cents + coalesce($12, 0) - coalesce($14, 0), "
    "surplus_cents = greatest(0, surplus_cents - coalesce($12, 0))"
)
_SERIES = (
    "series AS (INSERT INTO ticket_series (year, last_number) VALUES ($17, 1) "
    "ON CONFLICT (year) DO UPDATE SET last_number = ticket_series.last_number + 1 RETURNING last_number)"
)
_TICKET = (
    "ticket = $16, "
    "ticket_number = 'T-' || $17::int || '-' || lpad(last_number::text, greatest(6, length(last_number::text)), '0')"
)
_MOVED = f"WITH {_HISTORY} UPDATE payment SET {_MOVE} WHERE payment_id = $1 RETURNING *"  # noqa: S608 - our words
_TOGETHER = f"WITH {_SERIES}, {_HISTORY} UPDATE payment SET {_MOVE}, {_TICKET} FROM series"  # noqa: S608 - our words
_CONFIRMED = f"{_TOGETHER} WHERE payment_id = $1 RETURNING payment.*"


async def note(tx: Transaction, attempt: Attempt, heard: Heard, at: datetime) -> Attempt:
    """Keep what the bank said last, the name it gave to the money, and when to ask again.

    That is at once when a hint came while the bank was answering. The answer under review is renewed; a dispute that
    was won is not new any more.
    """
    return _attempt(await tx.fetchrow(_NOTED, *_heard(attempt, heard, at)), attempt.checkout)


async def move(
    tx: Transaction,
    moved: Attempt,
    wanted: Move,
    *,
    said_by: str,
    heard: Heard | None,
    receipt: Receipt | None,
    decision_id: UUID | None,
    at: datetime,
) -> Attempt:
    """Store a move and its line of history, and what was heard; an answer stays as evidence where it is reviewed.

    A receipt becomes the ticket with the next number of its Paris year. That series stays locked until the transaction
    ends, so none is skipped: everything else is to be done before.
    """
    taken = receipt.amount_cents if receipt else None
    if moved.status is PaymentStatus.REVIEW and wanted.amount_cents:
        taken = wanted.amount_cents
    given = (
        *_heard(moved, heard, at, wanted.to),
        *(moved.status, wanted.to, said_by, wanted.reason, wanted.amount_cents),
        *(decision_id, wanted.undone_cents, taken),
    )
    if receipt is None:
        row = await tx.fetchrow(_MOVED, *given)
    else:
        row = await tx.fetchrow(_CONFIRMED, *given, receipt.model_dump(mode="json"), day_of(at).year)
    return _attempt(row, moved.checkout)


async def look_up_now(
    tx: Transaction, payment_id: UUID, at: datetime, *, not_before: timedelta, is_signed: bool
) -> None:
    """Have the clock ask the bank, where an answer can still change something; not sooner after the last time.

    A hint that the bank signed may be about money that went back: then what is confirmed is asked about too.
    """
    await tx.execute(
        "WITH hinted AS (UPDATE payment SET hinted_at = $2, "
        "look_up_at = least(look_up_at, greatest($2::timestamptz, asked_at + $4::interval)) "
        "WHERE payment_id = $1 AND status = ANY($3::text[])) SELECT pg_notify('look_up_due', '')",
        payment_id,
        at,
        list(LOOKED_UP | TAKEN if is_signed else LOOKED_UP),
        not_before,
    )


async def claim_due_look_ups(tx: Transaction, *, now: datetime, leased_until: datetime, limit: int) -> list[UUID]:
    """Attempts whose turn it is; the lease gives them to this replica, and back to any when it dies."""
    rows = await tx.fetch(
        "UPDATE payment SET look_up_at = $2, asked_at = $1 WHERE payment_id IN (SELECT payment_id FROM payment "
        "WHERE look_up_at <= $1 ORDER BY look_up_at LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING payment_id",
        now,
        leased_until,
        limit,
    )
    return [row["payment_id"] for row in rows]


async def schedule_look_up(tx: Transaction, payment_id: UUID, at: datetime | None) -> None:
    await tx.execute("UPDATE payment SET look_up_at = $2 WHERE payment_id = $1", payment_id, at)


async def note_unanswered(tx: Transaction, payment_id: UUID) -> None:
    """Count a question that the bank left without an answer to rely on."""
    await tx.execute("UPDATE payment SET unanswered = unanswered + 1 WHERE payment_id = $1", payment_id)


async def may_ask(tx: Transaction, payment_id: UUID, *, now: datetime, not_since: datetime) -> bool:
    """Take the turn to ask the bank for a parent, unless one was taken after ``not_since``."""
    taken = await tx.fetchval(
        "UPDATE payment SET asked_at = $2 WHERE payment_id = $1 AND (asked_at IS NULL OR asked_at <= $3) "
        "RETURNING true",
        payment_id,
        now,
        not_since,
    )
    return bool(taken)


async def trim_homes(tx: Transaction, before: datetime, limit: int) -> int:
    """Forget where the households live whose checkout was over ``before``: no bank's page opens for it any more."""
    rows = await tx.fetch(
        "UPDATE checkout SET opened = jsonb_set(opened, '{household_address}', '[]') WHERE checkout_id IN "
        "(SELECT checkout_id FROM checkout WHERE opened -> 'household_address' <> '[]' AND expires_at < $1 "
        "LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING checkout_id",
        before,
        limit,
    )
    return len(rows)


async def trim_payers(tx: Transaction, before: datetime, limit: int) -> int:
    """Forget the payers' names and addresses of attempts that have not moved since ``before``; how many."""
    rows = await tx.fetch(
        "UPDATE payment SET payer_email = '', payer_name = '' WHERE payment_id IN "
        "(SELECT payment_id FROM payment WHERE changed_at < $1 AND payer_email <> '' AND look_up_at IS NULL LIMIT $2 "
        "FOR UPDATE SKIP LOCKED) RETURNING payment_id",
        before,
        limit,
    )
    return len(rows)


def _read(row: Any) -> Attempt:
    return _attempt(row, CheckoutOpened.model_validate(row["opened"]))


def _attempt(row: Any, checkout: CheckoutOpened) -> Attempt:
    return Attempt(
        payment_id=row["payment_id"],
        checkout=checkout,
        payer_id=row["payer_id"],
        payer_email=row["payer_email"],
        bank=row["bank"],
        account=row["account"],
        mode=Mode(row["mode"]),
        reference=row["reference"],
        amount_cents=row["amount_cents"],
        status=PaymentStatus(row["status"]),
        bank_reference=row["bank_reference"],
        payer_url=row["payer_url"],
        ticket=Ticket.model_validate({**row["ticket"], "number": row["ticket_number"]}) if row["ticket"] else None,
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        last_word=Word(row["last_word"]) if row["last_word"] else None,
        number=row["number"],
        taken_cents=row["taken_cents"],
        refunded_cents=row["refunded_cents"],
        surplus_cents=row["surplus_cents"],
        credited_cents=row["credited_cents"],
        said=_answer(row["said"]) if row["said"] else None,
        bank_payment=row["bank_payment"],
        payer_name=row["payer_name"],
        failed_refunds=row["failed_refunds"],
        failed_refund_cents=row["failed_refund_cents"],
        contradicted_cents=row["contradicted_cents"],
    )


_ADDED = ("transaction", "given_back_cents", "result")


def _said(answer: Answer) -> dict[str, Any]:
    """An answer as it is kept, without what later versions added and this one does not say."""
    said = {**asdict(answer), "at": answer.at.isoformat() if answer.at else None}
    return {name: value for name, value in said.items() if value or name not in _ADDED}


def _answer(said: dict[str, Any]) -> Answer:
    return Answer(
        **{
            **said,
            "word": Word(said["word"]),
            "mode": Mode(said["mode"]) if said["mode"] else None,
            "means": Means(said["means"]) if said["means"] else None,
            "at": datetime.fromisoformat(said["at"]) if said["at"] else None,
        }
    )


async def forget_payers(tx: Transaction, household_id: UUID) -> None:
    """Forget the people and addresses of a household's payments; tickets keep what they say."""
    await tx.execute(
        "UPDATE payment SET payer_email = '', payer_name = '' WHERE household_id = $1 "
        "AND (payer_email <> '' OR payer_name <> '')",
        household_id,
    )
    await tx.execute(
        "UPDATE checkout SET opened = opened || '{\"household_address\": []}' WHERE household_id = $1", household_id
    )
