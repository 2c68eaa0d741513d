"""What the database refuses whoever writes: the running role, and the owner of the tables with its triggers."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from local_stack.testing import owner_url

PRICE = 425
NOT_LET = asyncpg.InsufficientPrivilegeError

NEVER = (
    "UPDATE ledger_entry SET amount_cents = amount_cents + 1",
    "UPDATE ledger_transaction SET day = day - 400",
    "UPDATE ledger_chain SET digest = sha256('x')",
    "UPDATE invoice SET total_cents = total_cents + 1",
    "UPDATE invoice SET invoice_id = invoice_id",
    "UPDATE invoice_line SET amount_cents = 0",
    "UPDATE credit_note SET total_cents = 1",
    "UPDATE document_chain SET digest = sha256('x')",
    "UPDATE document_pdf SET pdf = ''",
    "UPDATE receipt SET amount_cents = 1",
    "UPDATE household_terms SET quotient_cents = 0",
    "UPDATE reminder SET step = 1",
    "DELETE FROM ledger_entry",
    "DELETE FROM ledger_transaction",
    "DELETE FROM ledger_chain",
    "DELETE FROM invoice",
    "DELETE FROM invoice_line",
    "DELETE FROM credit_note",
    "DELETE FROM document_chain",
    "DELETE FROM document_pdf",
    "DELETE FROM receipt",
    "DELETE FROM document_counter",
    "TRUNCATE ledger_chain",
    "TRUNCATE document_counter",
    "UPDATE document_counter SET last = last - 1",
    "UPDATE document_counter SET last = 0",
    "UPDATE document_counter SET last = last + 1",
    "UPDATE document_counter SET year = year + 1",
    "INSERT INTO document_counter (series, year, last) VALUES ('', 2031, 3)",
)
"""Refused to both."""
LEGS = (
    "INSERT INTO ledger_entry (transaction_id, account, household_id, product, means, till, amount_cents) VALUES "
    "((SELECT min(transaction_id) FROM ledger_transaction), 'bank', $1, NULL, 'cash', 'REGIE', 100), "
    "((SELECT min(transaction_id) FROM ledger_transaction), 'revenue', $1, 'Cantine', NULL, NULL, -100)"
)
"""Two that balance."""
MOVEMENT = (
    "WITH t AS (INSERT INTO ledger_transaction (key, at, day) VALUES ($2, {at}, {day}) RETURNING transaction_id) "
    "INSERT INTO ledger_entry (transaction_id, account, household_id, means, till, amount_cents) "
    "SELECT transaction_id, account, $1, means, till, amount_cents FROM t, "
    "(VALUES ('bank', 'cash', 'REGIE', 100::bigint), ('credit', NULL, NULL, -100::bigint)) "
    "AS leg (account, means, till, amount_cents)"
)
LINE = (
    "INSERT INTO invoice_line (invoice_id, position, child_id, child_first_name, activity_label, childcare, count, "
    "unit_price_cents, amount_cents, explanation) VALUES ($1, 9, $1, 'Léa', 'Cantine', false, 1, 0, 0, 'gratuit')"
)
INVOICE = (
    "INSERT INTO invoice (run_id, number, household_id, month, published_at, published_on, due_on, total_cents, "
    "issuer, household_name, household_reference, household_address) SELECT run_id, $1, household_id, month, "
    "published_at, published_on, due_on, total_cents, issuer, household_name, household_reference, "
    "household_address FROM invoice LIMIT 1"
)
RECEIPT = (
    "INSERT INTO receipt (number, household_id, means, amount_cents, surplus_cents, received_on, recorded_by, "
    "recorded_at) VALUES ($2, $1, 'cash', 100, 0, now(), $1, now())"
)


@pytest.fixture(params=["running role", "owner"])
def url(request: pytest.FixtureRequest, town: Any) -> str:
    running = str(town.settings.database_url)
    return running if request.param == "running role" else owner_url(running)


async def refused(url: str, statement: str, *arguments: Any, why: str | None = None) -> None:
    """The statement, with all that waits for its commit, is refused by a trigger, or to a role without the right."""
    connection = await asyncpg.connect(url)
    try:
        with pytest.raises((asyncpg.RaiseError, NOT_LET), match=why):
            await connection.execute(statement, *arguments)
    finally:
        await connection.close()


async def paid_town(town: Any) -> tuple[UUID, dict[str, Any]]:
    """An invoice that is paid in part and credited in part, by a receipt and a credit note."""
    household, invoice = await town.invoiced(1, 2)
    payload = {"means": "cash", "amount_cents": 100, "received_on": "today"}
    payload["received_on"] = str(await town.sql("SELECT (now() AT TIME ZONE 'Europe/Paris')::date"))
    response = await town.decides(household, "receipts", payload)
    assert response.status == 201, await response.text()
    path = f"invoices/{invoice['invoice_id']}/credit-notes"
    assert (await town.decides(household, path, {"amount_cents": 25, "reason": "Erreur"})).status == 201
    return household, invoice


async def test_what_is_written_is_never_rewritten(town: Any, url: str) -> None:
    await paid_town(town)
    for statement in NEVER:
        await refused(url, statement)


async def test_an_entry_comes_with_its_ledger_transaction_and_never_later(town: Any, url: str) -> None:
    household, _ = await paid_town(town)
    await refused(url, LEGS, household, why="an entry comes with its transaction")
    entries = await town.sql("SELECT count(*) FROM ledger_entry")
    connection = await asyncpg.connect(url)
    try:
        # Nor in the transaction of another that is not committed yet, nor after its link was written.
        with pytest.raises(asyncpg.RaiseError, match="an entry comes with its transaction"):
            async with connection.transaction():
                await connection.execute(MOVEMENT.format(at="now()", day="now()"), household, "test/1")
                await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
                await connection.execute(LEGS.replace("min(", "max("), household)
    finally:
        await connection.close()
    assert await town.sql("SELECT count(*) FROM ledger_entry") == entries


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("now() - interval '40 days'", "now() - interval '40 days'"),
        ("now()", "now() - interval '2 days'"),
        ("now()", "now() + interval '2 days'"),
        ("now() + interval '2 days'", "now() + interval '2 days'"),
    ],
)
@pytest.mark.parametrize("key", ["test/1", "receipt/00000000-0000-0000-0000-000000000001"])
async def test_a_movement_is_neither_back_dated_nor_post_dated(
    town: Any, url: str, at: str, day: str, key: str
) -> None:
    household = await town.household()
    await refused(url, MOVEMENT.format(at=at, day=day), household, key, why="written at")


async def test_a_movement_of_now_is_taken_and_linked_by_the_database_itself(town: Any, url: str) -> None:
    household = await town.household()
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(MOVEMENT.format(at="now()", day="now()"), household, "test/1")
    finally:
        await connection.close()
    assert await town.sql("SELECT count(*) FROM ledger_chain JOIN ledger_transaction USING (transaction_id)") == 1


async def test_a_line_comes_with_its_document(town: Any, url: str) -> None:
    _, invoice = await paid_town(town)
    await refused(url, LINE, UUID(invoice["invoice_id"]), why="a line comes with its invoice")
    note = await town.sql("SELECT credit_note_id FROM credit_note")
    line = (
        "INSERT INTO credit_note_line (credit_note_id, position, label, count, unit_credit_cents, amount_cents) "
        "VALUES ($1, 9, 'Geste', 1, 1, 1)"
    )
    await refused(url, line, note, why="a line comes with its credit note")


async def test_a_number_is_drawn_from_its_counter_by_the_transaction_that_uses_it(town: Any, url: str) -> None:
    household, invoice = await paid_town(town)
    year, last = invoice["number"].split("-")
    for number in (f"{year}-{int(last) + 1:06d}", f"{year}-000000", "2031-000001"):
        await refused(url, INVOICE, number, why="was not drawn from its counter")
    await refused(url, RECEIPT, household, f"R-{year}-000002", why="was not drawn from its counter")
    drawn = "UPDATE document_counter SET last = last + 2 WHERE series = 'R-'"
    connection = await asyncpg.connect(url)
    try:
        with pytest.raises(asyncpg.RaiseError, match=f"number R-{year}-000003 is drawn and used by no document"):
            async with connection.transaction():
                await connection.execute(drawn)
                await connection.execute(RECEIPT, household, f"R-{year}-000002")
        async with connection.transaction():
            await connection.execute(drawn.replace("+ 2", "+ 1"))
            await connection.execute(RECEIPT, household, f"R-{year}-000002")
    finally:
        await connection.close()


async def test_a_document_has_its_link_its_lines_and_its_debt(town: Any, url: str) -> None:
    _, invoice = await paid_town(town)
    year, last = invoice["number"].split("-")
    connection = await asyncpg.connect(url)
    try:
        with pytest.raises(asyncpg.RaiseError, match="is not the sum of its lines"):
            async with connection.transaction():
                await connection.execute("UPDATE document_counter SET last = last + 1 WHERE series = ''")
                await connection.execute(INVOICE, f"{year}-{int(last) + 1:06d}")
        with pytest.raises(asyncpg.RaiseError, match="comes without its document"):
            await connection.execute(
                "INSERT INTO document_chain (position, number, digest, previous, hash, version) SELECT position + 1, "
                "'2031-000001', sha256('x'), hash, sha256(hash || sha256('x')), 2 FROM document_chain "
                "ORDER BY position DESC LIMIT 1"
            )
    finally:
        await connection.close()


async def test_the_program_writes_nothing_that_the_database_keeps_by_itself(town: Any) -> None:
    await paid_town(town)
    for statement in (
        "INSERT INTO ledger_chain (position, transaction_id, digest, hash) VALUES (9, 1, sha256('x'), sha256('x'))",
        "INSERT INTO invoice_balance (invoice_id, left_cents) SELECT invoice_id, 0 FROM invoice",
        "UPDATE invoice_balance SET left_cents = 0",
        "DELETE FROM invoice_pdf_due",
        "INSERT INTO ledger_transaction (transaction_id, key, at, day) OVERRIDING SYSTEM VALUE "
        "VALUES (1, 'x', now(), now())",
        "SELECT link_transaction(1)",
        "SELECT setval('ledger_transaction_transaction_id_seq', 1)",
        "SELECT lo_import('/etc/passwd')",
    ):
        connection = await asyncpg.connect(town.settings.database_url)
        try:
            with pytest.raises(NOT_LET):
                await connection.execute(statement)
        finally:
            await connection.close()


async def test_what_is_left_of_each_invoice_is_kept_as_the_ledger_says(town: Any) -> None:
    household, invoice = await paid_town(town)
    wrong = (
        "SELECT count(*) FROM invoice i LEFT JOIN invoice_balance b USING (invoice_id) WHERE b.left_cents "
        "IS DISTINCT FROM (SELECT sum(amount_cents) FROM ledger_entry e WHERE e.invoice_id = i.invoice_id)"
    )
    left = "SELECT left_cents FROM invoice_balance WHERE invoice_id = $1"
    assert await town.sql(left, UUID(invoice["invoice_id"])) == 2 * PRICE - 100 - 25
    await town.pays(household, invoice, 2 * PRICE - 125)
    assert await town.sql(left, UUID(invoice["invoice_id"])) == 0
    assert await town.sql(wrong) == 0
