"""What the database refuses whoever writes: the running role, and the owner of the tables with its triggers."""

import contextlib
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from local_stack.testing import owner_url

NOT_LET = asyncpg.InsufficientPrivilegeError
MOVE = (
    "INSERT INTO payment_move (payment_id, from_status, to_status, said_by, reason, at) "
    "SELECT payment_id, 'confirmed', 'refunded', 'bank', 'x', now() FROM payment"
)
NEVER = (
    "UPDATE payment SET status = 'reversed'",
    "UPDATE payment SET status = 'disputed'",
    "UPDATE payment SET taken_cents = taken_cents - 1",
    "UPDATE payment SET refunded_cents = taken_cents",
    "UPDATE payment SET amount_cents = 1",
    "UPDATE payment SET ticket = jsonb_set(ticket, '{amount_cents}', '1')",
    "UPDATE payment SET ticket_number = 'T-2031-000001'",
    "UPDATE payment SET ticket = NULL, ticket_number = NULL, status = 'review', said = '{}'",
    "UPDATE payment_move SET reason = 'x'",
    "UPDATE payment_move SET at = at - interval '1 day'",
    "UPDATE bank_word SET body = 'x'",
    "UPDATE bank_word SET verdict = 'verified'",
    "UPDATE bank_word SET received_at = now()",
    "UPDATE bank_word SET digest = ''",
    "UPDATE settlement SET number = 'x'",
    "UPDATE till_decision SET reason = 'xxx'",
    "UPDATE ticket_series SET last_number = last_number + 1",
    "UPDATE ticket_series SET last_number = last_number - 1",
    "UPDATE ticket_series SET last_number = last_number + 2",
    "UPDATE ticket_series SET year = year + 1",
    "UPDATE attempt_series SET last_number = 1",
    "INSERT INTO ticket_series (year, last_number) VALUES (2031, 1)",
    "DELETE FROM payment",
    "DELETE FROM payment_move",
    "DELETE FROM bank_word",
    "DELETE FROM ticket_series",
    "DELETE FROM attempt_series",
    "DELETE FROM settlement",
    "DELETE FROM till_decision",
    "TRUNCATE payment CASCADE",
    "TRUNCATE ticket_series",
    MOVE,
    f"WITH told AS ({MOVE} RETURNING payment_id) UPDATE payment p SET status = 'disputed' FROM told t "
    "WHERE t.payment_id = p.payment_id",
    "INSERT INTO payment (checkout_id, household_id, payer_id, payer_email, bank, account, mode, reference, "
    "amount_cents, status, bank_reference, taken_cents, ticket, ticket_number, created_at, changed_at, day, number) "
    "SELECT checkout_id, household_id, payer_id, payer_email, bank, account, mode, 'ANOTHER', amount_cents, status, "
    "'another', taken_cents, ticket, 'T-2031-000001', now(), now(), day, 9 FROM payment",
)
"""Each of a payment that is confirmed, refused to both."""


@pytest.fixture(params=["running role", "owner"])
def url(request: pytest.FixtureRequest, till: Any) -> str:
    running = str(till.database_url)
    return running if request.param == "running role" else owner_url(running)


async def test_a_confirmed_payment_its_ticket_and_its_history_change_by_a_transition_alone(till: Any, url: str) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "confirmed")
    for statement in NEVER:
        connection = await asyncpg.connect(url)
        try:
            with pytest.raises((asyncpg.RaiseError, NOT_LET, asyncpg.CheckViolationError)):
                await connection.execute(statement)
                pytest.fail(f"taken: {statement}")
        finally:
            await connection.close()
    assert await till.sql("SELECT status FROM payment") == "confirmed"


@pytest.mark.parametrize("in_savepoint", [False, True])
async def test_a_transition_with_its_row_of_the_history_is_taken(till: Any, url: str, in_savepoint: bool) -> None:
    payment = await till.begin()
    await till.at_bank(payment, "pay")
    await till.becomes(payment, "confirmed")
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction(), connection.transaction() if in_savepoint else contextlib.nullcontext():
            await connection.execute(
                f"WITH told AS ({MOVE.replace('refunded', 'disputed')}) UPDATE payment SET status = 'disputed'"
            )
    finally:
        await connection.close()
    assert await till.sql("SELECT status FROM payment") == "disputed"


async def test_the_program_cannot_draw_an_attempts_number_by_hand_nor_forget_what_was_frozen(till: Any) -> None:
    await till.begin()
    connection = await asyncpg.connect(till.database_url)
    try:
        for statement in (
            "UPDATE payment SET account = 'x'",
            f"UPDATE payment SET household_id = '{uuid4()}'",
            "UPDATE checkout SET expires_at = now()",
            "UPDATE attempt_series SET bank = 'x'",
            "UPDATE bank_word SET payment_id = NULL",
        ):
            with pytest.raises(NOT_LET):
                await connection.execute(statement)
    finally:
        await connection.close()
