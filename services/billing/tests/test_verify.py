"""`verify`: every finding with its number, whatever was done to the tables behind the program's back."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from billing.__main__ import SERVICE
from billing.domain.canonical import document_digest
from billing.store import balances
from billing.store.chain import documents
from billing.store.health_metrics import HEALTH_METRICS
from chassis.database import opened
from chassis.health_metrics import measure

PRICE = 425


async def verify(town: Any, capsys: Any) -> tuple[int, str]:
    code = await SERVICE.commands["verify"](town.settings, [])
    return code, capsys.readouterr().out


async def test_verify_reads_what_the_version_before_published_beside_what_is_published_now(
    town: Any, capsys: Any
) -> None:
    """The links of the version before are made as it made them: the digest of the JSON of its model."""
    household, invoice = await town.invoiced(1, 2)
    number, published = invoice["number"], UUID(invoice["invoice_id"])
    async with opened(town.settings.database_url) as database, database.transaction() as tx:
        said = (await documents(tx, [number]))[number]
    first = document_digest(said, 1)
    await town.sql("ALTER TABLE document_chain DISABLE TRIGGER USER")
    await town.sql("UPDATE document_chain SET version = 1, digest = $1, hash = sha256($1)", first)
    await town.sql("ALTER TABLE document_chain ENABLE TRIGGER USER")
    path = f"invoices/{invoice['invoice_id']}/credit-notes"
    assert (await town.decides(household, path, {"amount_cents": 25, "reason": "Erreur"})).status == 201
    assert await town.sql("SELECT array_agg(version ORDER BY position) FROM document_chain") == [1, 2]
    assert (await verify(town, capsys))[0] == 0
    await town.sql("ALTER TABLE invoice DISABLE TRIGGER USER")
    await town.sql("UPDATE invoice SET due_on = due_on + 1 WHERE invoice_id = $1", published)
    code, text = await verify(town, capsys)
    assert (code, f"{number}: the document does not say what was published" in text) == (1, True)


async def test_verify_names_each_finding_and_goes_on_with_the_rest(town: Any, capsys: Any) -> None:
    """Two legs added to an old movement, one back-dated, and by that an invoice paid beyond its total."""
    household, invoice = await town.invoiced(1, 2)
    other, second = await town.invoiced(3)
    await town.pays(household, invoice, 2 * PRICE)
    assert (await verify(town, capsys))[0] == 0
    for table in ("ledger_entry", "ledger_transaction", "document_chain", "invoice_line", "receipt"):
        await town.sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    first, paid = invoice["invoice_id"], await town.sql("SELECT key FROM ledger_transaction WHERE key LIKE 'payment/%'")
    legs = (
        "INSERT INTO ledger_entry (transaction_id, account, household_id, invoice_id, product, means, till, "
        "amount_cents) SELECT transaction_id, account, $2, invoice_id, NULL, means, till, cents "
        "FROM ledger_transaction, (VALUES ('bank', NULL, 'cash', 'REGIE', 100::bigint), "
        "('receivable', $3::uuid, NULL, NULL, -100)) AS leg (account, invoice_id, means, till, cents) WHERE key = $1"
    )
    await town.sql(legs, f"invoice/{first}", household, UUID(first))
    await town.sql("UPDATE ledger_transaction SET day = day - 40 WHERE key = $1", paid)
    code, text = await verify(town, capsys)
    assert code == 1
    assert f"invoice/{first}: the ledger does not say what was entered" in text
    assert f"{paid}: the ledger does not say what was entered" in text
    assert f"{invoice['number']}: more was paid or credited than this invoice asks" in text
    assert f"{invoice['number']}: the debt of this invoice is not in the ledger" in text
    assert f"{invoice['number']}: what is kept as left to pay is not what the ledger says" in text
    assert second["number"] not in text
    assert "2 documents, 3 movements, 5 wrong" in text
    assert (await town.invoices(other))["to_pay"][0]["number"] == second["number"]
    assert (await town.invoices(household))["paid"][0]["number"] == invoice["number"]


async def test_a_movement_that_is_gone_and_a_document_that_is_none_any_more_are_found(town: Any, capsys: Any) -> None:
    household, invoice = await town.invoiced(1, 2)
    await town.pays(household, invoice, 2 * PRICE)
    await town.sql("ALTER TABLE ledger_entry DISABLE TRIGGER USER")
    await town.sql("ALTER TABLE ledger_transaction DISABLE TRIGGER USER")
    await town.sql("ALTER TABLE ledger_chain DROP CONSTRAINT ledger_chain_transaction_id_fkey")
    await town.sql("ALTER TABLE ledger_entry DROP CONSTRAINT ledger_entry_transaction_id_fkey")
    paid = await town.sql("DELETE FROM ledger_transaction WHERE key LIKE 'payment/%' RETURNING transaction_id")
    code, text = await verify(town, capsys)
    assert code == 1
    assert f"transaction {paid}: the ledger does not say what was entered" in text
    assert f"transaction {paid}: these entries belong to no ledger transaction" in text
    assert "1 documents, 2 movements, 2 wrong" in text


async def test_what_was_written_before_the_chain_is_linked_and_filled_in_by_the_set_up(town: Any, capsys: Any) -> None:
    """As a version before left it: movements without links and balances, invoices without a PDF."""
    household, invoice = await town.invoiced(1, 2)
    await town.pays(household, invoice, 100)
    for statement in (
        "ALTER TABLE ledger_chain DISABLE TRIGGER USER",
        "DELETE FROM ledger_chain",
        "ALTER TABLE ledger_chain ENABLE TRIGGER USER",
        "DELETE FROM invoice_balance",
        "DELETE FROM invoice_pdf_due",
        "ALTER TABLE document_pdf DISABLE TRIGGER USER",
        "DELETE FROM document_pdf",
        "ALTER TABLE document_pdf ENABLE TRIGGER USER",
    ):
        await town.sql(statement)
    code, text = await verify(town, capsys)
    assert (code, "is not in the chain of the ledger" in text) == (1, True)
    await town.pays(household, invoice, 100)  # meanwhile, of an invoice that is not filled in yet
    for _ in range(2):
        await SERVICE.prepare(town.settings)
        assert (await verify(town, capsys))[0] == 0
    left = "SELECT left_cents FROM invoice_balance WHERE invoice_id = $1"
    assert await town.sql(left, UUID(invoice["invoice_id"])) == 2 * PRICE - 200


async def test_the_ledger_is_checked_each_hour_by_one_replica_and_what_it_found_is_kept(town: Any) -> None:
    await town.invoiced(1, 2)
    await town.sql("UPDATE ledger_check SET checked_at = now(), claimed_at = NULL")
    async with opened(town.settings.database_url) as database:

        async def health_metrics() -> dict[str, float]:
            async with database.transaction() as tx:
                return await measure(tx, HEALTH_METRICS)

        async def check() -> bool:
            if not await balances.claim_check(database):
                return False
            assert not await balances.claim_check(database)  # another replica, meanwhile
            await balances.keep(database, await balances.check(database))
            return True

        assert not await check()
        await town.sql("ALTER TABLE ledger_entry DISABLE TRIGGER USER")
        await town.sql("UPDATE ledger_entry SET amount_cents = amount_cents + 7 WHERE account = 'receivable'")
        await town.sql("ALTER TABLE ledger_entry ENABLE TRIGGER USER")
        before = await health_metrics()
        assert (before["ledger_imbalance_cents"], before["ledger_wrong_balances"]) == (0, 0)
        await town.sql("UPDATE ledger_check SET checked_at = now() - $1::interval", timedelta(hours=2))
        assert (await health_metrics())["ledger_check_late_seconds"] >= timedelta(hours=1).total_seconds()
        assert await check()
        found = await health_metrics()
        assert (found["ledger_imbalance_cents"], found["ledger_wrong_balances"]) == (7, 1)
        assert found["ledger_check_late_seconds"] == 0
        assert await check()  # again at once, as long as something is wrong
