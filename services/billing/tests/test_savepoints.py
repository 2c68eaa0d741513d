"""What the guards of the ledger hold to one transaction may be written in savepoints of it, and never later."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from aiohttp import web

from billing.api.credit_notes import post_credit_note
from billing.api.till import post_receipt
from billing.app import build
from chassis.clock import today
from chassis.idempotency import idempotent
from local_stack.testing import owner_url

PRICE = 425
MOVEMENT = "INSERT INTO ledger_transaction (key, at, day) VALUES ($1, now(), now()) RETURNING transaction_id"
LEGS = (
    "INSERT INTO ledger_entry (transaction_id, account, household_id, means, till, amount_cents) "
    "VALUES ($1, 'bank', $2, 'cash', 'REGIE', 100), ($1, 'credit', $2, NULL, NULL, -100)"
)
CLOSED = "an entry comes with its transaction"


@pytest.fixture(params=["running role", "owner"])
async def connection(request: pytest.FixtureRequest, town: Any) -> Any:
    running = str(town.settings.database_url)
    made = await asyncpg.connect(running if request.param == "running role" else owner_url(running))
    yield made
    await made.close()


@pytest.fixture
async def keyed(town: Any, aiohttp_client: Any) -> Any:
    """A billing service that runs two handlers of money inside the transaction of their idempotency key."""

    def keyed(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await handler(request)

        return idempotent(handle)

    app = build(town.settings)
    app.router.add_post("/keyed/{household_id}/receipts", keyed(post_receipt))
    app.router.add_post("/keyed/{household_id}/invoices/{invoice_id}/credit-notes", keyed(post_credit_note))
    return await aiohttp_client(app)


async def test_receipts_and_credit_notes_are_taken_from_an_idempotent_handler(town: Any, keyed: Any) -> None:
    household, invoice = await town.invoiced(1, 2)
    headers = town.staff(**{"Idempotency-Key": uuid4().hex})
    receipt = {"means": "cash", "amount_cents": 100, "received_on": str(today() - timedelta(days=3))}
    receipt["seen_balance_cents"] = 2 * PRICE
    for _ in range(2):
        response = await keyed.post(f"/keyed/{household}/receipts", json=receipt, headers=headers)
        assert response.status == 201, await response.text()
    headers = town.staff(**{"Idempotency-Key": uuid4().hex})
    path = f"/keyed/{household}/invoices/{invoice['invoice_id']}/credit-notes"
    note = {"amount_cents": 25, "reason": "Erreur", "seen_balance_cents": 2 * PRICE - 100}
    response = await keyed.post(path, json=note, headers=headers)
    assert response.status == 201, await response.text()
    left = "SELECT left_cents FROM invoice_balance WHERE invoice_id = $1"
    assert await town.sql(left, UUID(invoice["invoice_id"])) == 2 * PRICE - 100 - 25
    await town.balanced()


async def test_a_movement_and_its_entries_may_be_written_in_different_savepoints(town: Any, connection: Any) -> None:
    household = await town.household()
    async with connection.transaction():
        async with connection.transaction():
            async with connection.transaction():
                movement = await connection.fetchval(MOVEMENT, "test/1")
            async with connection.transaction():
                await connection.execute(LEGS, movement, household)
        other = await connection.fetchval(MOVEMENT, "test/2")
        async with connection.transaction():
            await connection.execute(LEGS, other, household)
    assert await town.sql("SELECT count(*) FROM ledger_chain JOIN ledger_entry USING (transaction_id)") == 4


@pytest.mark.parametrize("in_savepoint", [False, True])
async def test_entries_added_to_an_older_movement_are_refused_from_a_savepoint_as_well(
    town: Any, connection: Any, in_savepoint: bool
) -> None:
    household = await town.household()
    async with connection.transaction():
        if in_savepoint:
            async with connection.transaction():
                movement = await connection.fetchval(MOVEMENT, "test/1")
                await connection.execute(LEGS, movement, household)
        else:
            movement = await connection.fetchval(MOVEMENT, "test/1")
            await connection.execute(LEGS, movement, household)
    with pytest.raises(asyncpg.RaiseError, match=CLOSED):
        await connection.execute(LEGS, movement, household)
    with pytest.raises(asyncpg.RaiseError, match=CLOSED):
        async with connection.transaction(), connection.transaction():
            await connection.execute(LEGS, movement, household)
    assert await town.sql("SELECT count(*) FROM ledger_entry") == 2


async def test_a_movement_of_a_transaction_that_began_later_is_not_ones_own(town: Any, connection: Any) -> None:
    """Its number is higher, as that of a savepoint is. Without its link in the chain, the number alone decides."""
    household = await town.household()
    owner = await asyncpg.connect(owner_url(town.settings.database_url))
    try:
        async with connection.transaction():
            await connection.fetchval("SELECT pg_current_xact_id()")
            await owner.execute("ALTER TABLE ledger_transaction DISABLE TRIGGER linked")
            async with owner.transaction():
                movement = await owner.fetchval(MOVEMENT, "test/1")
                await owner.execute(LEGS, movement, household)
            with pytest.raises(asyncpg.RaiseError, match=CLOSED):
                async with connection.transaction():
                    await connection.execute(LEGS, movement, household)
    finally:
        await owner.close()


async def test_a_row_of_so_long_ago_that_its_number_seems_to_come_is_not_ones_own(connection: Any) -> None:
    present = int(await connection.fetchval("SELECT pg_current_xact_id()::text"))
    for number in (present - 1, present + 1_000_000, present + 2_000_000_000, present + 3_000_000_000):
        text = str(number % 2**32)
        assert await connection.fetchval("SELECT is_of_this_transaction($1::text::xid)", text) is False, number
